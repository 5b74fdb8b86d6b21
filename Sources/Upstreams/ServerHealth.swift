internal import Base

/// How a server does, by what its answers and its probes have shown.
///
/// Two views of it that know little of each other. Answers: a failure makes a server the last of its peers
/// until it answers, and `maxFails` of them within `failTimeout` take it down for so long; then one request
/// at a time tries it, and the first that is answered takes it up again. Probes take it down after `fall`
/// failures in a row and up after `rise` successes; they show that it lives, not that it finds content, so
/// they take up only what they have taken down, and what no request tries.
struct ServerHealth: Equatable, Sendable {
  /// What a choice makes of a server.
  enum Rank: Int, Comparable, Sendable {
    case good
    /// It has failed, and has not answered since.
    case suspect
    /// Asked only where nobody else is left.
    case down

    static func < (left: Rank, right: Rank) -> Bool { left.rawValue < right.rawValue }
  }

  enum Change: Equatable, Sendable {
    case down(UpstreamEvent.Cause)
    case up
  }

  /// The failures within the last `failTimeout`, as far as they count; at most `maxFails`.
  private var failures: [Instant] = []
  /// The last failure, if there has been no answer since.
  private(set) var lastFailure: Instant?
  /// When it last sent wrong bytes: what it answers since does not make up for that.
  private(set) var lastLie: Instant?
  /// Taken down by its failures until then; after that it is on trial.
  private var downUntil: Instant?
  /// Whether the request is under way that tries it.
  private var isTrialTaken = false
  /// It has asked to be left alone until then (429 or 503 with Retry-After).
  private var restsUntil: Instant?
  /// Whether probes have taken it down.
  private var isProbedDown = false
  /// Probes in a row: above 0 that went well, below 0 that failed.
  private var probesInARow = 0
  /// When it last came up; weighs less for a while since.
  private var upSince: Instant?
  /// Searches in a row that missed here what was then found elsewhere.
  private var oversights = 0
  /// Bodies in a row that ended well in form, but before they were whole, and when the first of them did.
  private var shortBodies: ShortBodies?

  private struct ShortBodies: Equatable {
    var count = 0
    var since: Instant
  }

  init() {}

  /// Whether there is nothing to remember but probes that went well.
  var isClean: Bool {
    failures.isEmpty && lastFailure == nil && lastLie == nil && downUntil == nil
      && restsUntil == nil && !isProbedDown && upSince == nil && oversights == 0
      && shortBodies == nil
  }

  func rank(at now: Instant, _ options: UpstreamOptions) -> Rank {
    if isProbedDown { return .down }
    if let restsUntil, now < restsUntil { return .down }
    if let downUntil { return now < downUntil || isTrialTaken ? .down : .good }
    for failure in [lastFailure, lastLie] {
      if let failure, now - failure < options.failTimeout { return .suspect }
    }
    return .good
  }

  /// Whether it is down by what it did, rather than at rest by its own wish.
  func isDown(at now: Instant) -> Bool { isProbedDown || downUntil != nil }

  /// What its weight is worth, in thousandths: a server that came up has its caches and connections to fill.
  func share(at now: Instant, _ options: UpstreamOptions) -> Int {
    guard let upSince, options.slowStart > .zero else { return 1000 }
    let elapsed = max(0, (now - upSince).nanoseconds)
    guard elapsed < options.slowStart.nanoseconds else { return 1000 }
    return max(Self.leastShare, Int(Double(elapsed) / options.slowStart.seconds / 1e6))
  }

  /// The least weight of a server that has just come up, in thousandths: it must get something.
  static let leastShare = 50

  // MARK: Events

  /// A request goes to it; whether that is the one which tries it.
  mutating func begin(at now: Instant) -> Bool {
    guard let downUntil, now >= downUntil, !isTrialTaken, !isProbedDown else { return false }
    isTrialTaken = true
    return true
  }

  /// The request that tried it has ended without a word on it.
  mutating func trialAbandoned() { isTrialTaken = false }

  mutating func failed(at now: Instant, _ options: UpstreamOptions) -> Change? {
    lastFailure = now
    guard options.maxFails > 0 else { return nil }
    if downUntil != nil {
      // A trial, or what was under way when it went down.
      downUntil = now + options.failTimeout
      isTrialTaken = false
      return nil
    }
    prune(now, options)
    failures.append(now)
    guard failures.count >= options.maxFails else { return nil }
    failures = []
    downUntil = now + options.failTimeout
    isTrialTaken = false
    return isProbedDown ? nil : .down(.failures)
  }

  /// A search missed here what was then found elsewhere.
  ///
  /// Content may be out of one server's reach; so many in a row, with nothing answered in between, are a server
  /// that finds nothing.
  mutating func overlooked(at now: Instant, _ options: UpstreamOptions) -> Change? {
    oversights += 1
    guard oversights >= Self.rowLimit else { return nil }
    oversights = 0
    return failed(at: now, options)
  }

  /// A body has ended in order before it was whole.
  ///
  /// Its content may be gone in part; a row of them, while others give theirs whole, is the server's failure, and
  /// what it answers since does not make up for it.
  ///
  /// - Parameter whole: when any server last ended a body as it should.
  mutating func fellShort(
    at now: Instant, whole: Instant, _ options: UpstreamOptions
  ) -> Change? {
    var row = shortBodies ?? ShortBodies(since: now)
    row.count = min(row.count + 1, Self.rowLimit)
    shortBodies = row
    guard row.count == Self.rowLimit, whole >= row.since else { return nil }
    shortBodies = nil
    lied(at: now)
    return failed(at: now, options)
  }

  /// A body has come to its whole end.
  mutating func endedWhole() { shortBodies = nil }

  /// What counts as a failure only in a row does so after so many.
  static let rowLimit = 3

  private mutating func prune(_ now: Instant, _ options: UpstreamOptions) {
    failures.removeAll { now - $0 >= options.failTimeout }
  }

  /// An answer has come to its end, or so far that it convinces.
  mutating func answered(at now: Instant, _ options: UpstreamOptions) -> Change? {
    lastFailure = nil
    oversights = 0
    if let rest = restsUntil, now >= rest { restsUntil = nil }
    if let lie = lastLie, now - lie >= options.failTimeout { lastLie = nil }
    if let up = upSince, now - up >= options.slowStart { upSince = nil }
    prune(now, options)
    guard isDown(at: now) else { return nil }
    downUntil = nil
    isTrialTaken = false
    isProbedDown = false
    probesInARow = 0
    upSince = now
    return .up
  }

  /// Whether no request has tried it, though its time was over as long ago as it was down: nobody needs it, and
  /// nobody would ever find out that it is back.
  func isForgotten(at now: Instant, _ options: UpstreamOptions) -> Bool {
    guard let downUntil, !isTrialTaken, !isProbedDown else { return false }
    return now - downUntil >= options.failTimeout
  }

  /// A probe has found one alive that was forgotten.
  mutating func remembered(at now: Instant, _ options: UpstreamOptions) -> Change? {
    guard isForgotten(at: now, options) else { return nil }
    downUntil = nil
    lastFailure = nil
    upSince = now
    return .up
  }

  /// It has sent wrong bytes.
  mutating func lied(at now: Instant) { lastLie = now }

  /// It wants to be left alone until then.
  mutating func rests(until instant: Instant) { restsUntil = instant }

  mutating func probed(
    _ isWell: Bool, at now: Instant, rise: Int, fall: Int
  ) -> Change? {
    if isWell {
      probesInARow = min(max(probesInARow, 0) + 1, rise)
      guard isProbedDown, probesInARow >= rise else { return nil }
      isProbedDown = false
      upSince = now
      return downUntil == nil ? .up : nil
    }
    probesInARow = max(min(probesInARow, 0) - 1, -fall)
    guard !isProbedDown, probesInARow <= -fall else { return nil }
    isProbedDown = true
    return downUntil == nil ? .down(.probes) : nil
  }
}
