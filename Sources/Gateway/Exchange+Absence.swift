internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Router
internal import Server
internal import Telemetry

/// Content that could not be had: what is remembered of it, and under which key.
extension Exchange {
  /// Answers from what is remembered; false where the content is to be asked for.
  ///
  /// Who only asks for what is in the cache is told that it is not, as ever (gateway digest A3: 412 comes
  /// before everything that the content's path may lead to).
  func answerAbsence() -> Bool {
    if onlyIfCached { return false }
    let canonical = canonicalKey.withReadable { $0.array }
    let absenceKey = absenceKey
    if let answer = siteAnswer(absenceKey) {
      give(answer)
      return true
    }
    switch worker.gateway.absences.standing(of: absenceKey, at: worker.loop.now) {
    case .open:
      // What was looked for in vain is not looked for again while that many searches go on.
      guard worker.searches.isFull, worker.gateway.fills.find(key, canonicalKey: canonical) == nil,
        worker.gateway.absences.hasFailed(absenceKey, at: worker.loop.now)
      else { return false }
      refuseSearch()
    case .absent:
      outcome = .hit
      reason = Self.absent
      worker.counters.add(.absenceAnswerProven)
      refuse(
        status: 404, "nothing is at this path: what it leads through has no entry of that name")
    case .failing(let status, let wait):
      // A fill that is under way tells more than the failure before it.
      guard worker.gateway.fills.find(key, canonicalKey: canonical) == nil else { return false }
      worker.counters.add(.absenceAnswerFailing)
      fail(status: status, wait: wait)
    }
    return true
  }

  /// Answers from a failure that has just been noted, by what this request waited for among others; false where
  /// there is none.
  func answerFailure() -> Bool {
    guard case .failing(let status, let wait) = failure else { return false }
    worker.counters.add(.absenceAnswerFailing)
    fail(status: status, wait: wait)
    return true
  }

  /// Whether a fault is that of a search which had its time, or its turn: another one by each who waited for it
  /// would take the places of others'.
  func isVain(_ fault: Fault) -> Bool {
    guard fault.side == .upstream else { return false }
    if fault.kind == .exhausted { return true }
    guard fault.kind == .timeout, case .failing = failure else { return false }
    return true
  }

  private var failure: Absence.Standing {
    worker.gateway.absences.standing(of: absenceKey, at: worker.loop.now)
  }

  /// Says that what was looked for in vain is not looked for while so much else is.
  func refuseSearch() {
    outcome = .error
    worker.searches.noteRefusal()
    refuse(
      status: 503, "too much is being looked for that nobody has; try again later",
      retryAfter: Self.searchPause)
  }

  /// Says in its own words that the content could not be had a moment ago.
  ///
  /// - Parameter wait: how long it is not asked for again; nil where that is open.
  func fail(status: Int, wait: Interval? = nil) {
    outcome = .error
    reason = Self.failing
    let seconds = wait.map { max(1, ($0.nanoseconds + 999_999_999) / 1_000_000_000) }
    refuse(status: status, Self.sentence(ofFailure: status), retryAfter: seconds)
  }

  /// What the site is known to say of the path; nil where it would say something of the client's own query too.
  private func siteAnswer(_ absenceKey: [UInt8]) -> SiteAnswer? {
    guard keepsHost,
      let answer = worker.gateway.siteAnswers.answer(for: absenceKey, at: worker.loop.now)
    else { return nil }
    let hasQuery = text.withReadable { $0.bytes(target).contains("?") }
    return answer.isRedirect && hasQuery ? nil : answer
  }

  /// Gives what a site says of a path that it does not have, whatever part or condition was asked for, as
  /// gateways do.
  private func give(_ answer: SiteAnswer) {
    guard let stream else { return }
    if let finding = denial(ofPage: answer.head) {
      refuse(finding)
      return
    }
    outcome = .hit
    reason = Self.absent
    worker.counters.add(.absenceAnswerSite)
    var head = answer.head
    // Under a name nobody knows for how long the path will be missing (gateway digest A6).
    if !answer.isRedirect, naming == nil {
      head.fields.append(
        Record.Field(
          name: Array("Cache-Control".utf8),
          value: Array("\(Self.immutable)".utf8)))
    }
    writePassedHead(head, on: stream)
    let body = answer.body
    if method != .head { stream.fill(body.rawBytes) }
    finish()
  }

  /// The reasons of such answers, in the log and in Cache-Status.
  static let absent: StaticString = "absent"
  static let failing: StaticString = "failing"

  /// After how many seconds to ask again for what was not looked for, or not long enough.
  static let searchPause: Int64 = 10

  private static func sentence(ofFailure status: Int) -> String {
    switch status {
    case 404: "the upstream server did not find this a moment ago; try again later"
    case 504: "nobody gave this in time a moment ago; the content may have no provider"
    default: "the upstream server could not give this a moment ago; try again later"
    }
  }

  /// Under which key it is remembered that this cannot be had.
  ///
  /// On a name's own host upstreams find out by themselves what the name leads to. That may be another's content by
  /// now, whose words and failures are none of the root's.
  private var absenceKey: [UInt8] {
    let canonical = canonicalKey.withReadable { $0.array }
    return naming != nil && keepsHost ? AbsenceTable.key(canonical, under: name) : canonical
  }

  /// Under which key it is remembered if this cannot be had; nil for what is no content.
  ///
  /// - Parameters:
  ///   - target: the upstream's request target for the content, with its path.
  ///   - countsFailures: whether all of the content is asked for, or its head.
  func absenceSubject(target: [UInt8], countsFailures: Bool) -> AbsenceSubject? {
    guard let asked, !canonicalKey.isEmpty else { return nil }
    let isFileBelow = asked.form == .file && asked.hasPath
    return AbsenceSubject(
      key: absenceKey, countsFailures: countsFailures,
      hasOwnHost: asked.mode != .path, root: isFileBelow ? contentRoot : nil,
      remainder: isFileBelow ? path.withReadable { $0.bytes(asked.remainder).array } : [],
      target: target)
  }
}
