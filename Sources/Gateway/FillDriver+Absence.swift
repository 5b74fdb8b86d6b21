internal import Base
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Upstreams

/// Under which key it is remembered if an answer says that content cannot be had.
struct AbsenceSubject {
  /// The canonical key, or the one that has a name with it (`AbsenceTable.key`).
  var key: [UInt8]
  /// Whether a failure is the content's, and not only that of the part that was asked for.
  var countsFailures: Bool
  /// Whether content has a host of its own: there a 404 may be the site's own page (`_redirects`), which
  /// must not be replaced by another.
  var hasOwnHost: Bool
  /// The content's root, where something below it is asked for as a file.
  var root: CID?
  /// The decoded path below the root, and the request target that has it.
  var remainder: [UInt8]
  var target: [UInt8]

  /// Whether an answer of this status is remembered.
  func counts(_ status: Int) -> Bool {
    countsFailures && Absence.isFailure(status) && !(status == 404 && hasOwnHost)
  }

  /// What to ask for a proof that nothing is there; nil where there is none to be had.
  var question: AbsenceQuestion? {
    let segments = remainder.split(separator: UInt8(ascii: "/")).map(Array.init)
    guard let root, !segments.isEmpty else { return nil }
    var path = Array(target.prefix { $0 != UInt8(ascii: "?") })
    if hasOwnHost {
      // Blocks are asked for at paths, where no site has a word in it.
      var rest = ByteBuffer(capacity: 256)
      PercentCoding.append(path: remainder.rawBytes, to: &rest)
      path = Array("/ipfs/\(root)".utf8) + rest.readable.array
    }
    return AbsenceQuestion(path: path, root: root, segments: segments)
  }
}

/// What is learnt of content that cannot be had.
///
/// Only what an upstream has said, or that it has said nothing for too long, is the content's: Sluice's own
/// troubles and servers that cannot be reached are not.
extension FillDriver {
  /// Notes what the status of the first answer says.
  func note(status: Int) {
    guard let subject = request.absence else { return }
    let absences = worker.gateway.absences
    if subject.hasOwnHost, SiteAnswer.isPossible(status) { askSite(subject) }
    if status < 400 {
      absences.forget(subject.key)
    } else if subject.counts(status) {
      let mayProve =
        status == 404 && subject.root != nil && worker.absenceProofs.hasRoom
        && worker.gateway.options.negativeTTL > .zero
      let proves = absences.fail(subject.key, status, at: worker.loop.now, mayProve: mayProve)
      if proves, var question = subject.question {
        question.region = request.region
        let worker = worker
        worker.absenceProofs.ask(worker, question) {
          worker.gateway.absences.prove(
            subject.key, at: worker.loop.now, for: worker.gateway.options.negativeTTL)
        }
      }
    }
  }

  /// Notes that no first byte of an answer came in time: the client gets 504, as from a gateway that looked
  /// in vain.
  func noteSilence() {
    if head == nil { note(status: 504) }
  }

  /// Notes that missing slices of what is known otherwise were looked for in vain.
  func noteVainRun() {
    isFound = false
    note(status: 504)
  }

  /// Forgets that such were looked for in vain, since they have been found.
  func noteFoundRun() {
    guard let subject = request.absence,
      worker.gateway.absences.hasFailed(subject.key, at: worker.loop.now)
    else { return }
    worker.gateway.absences.forget(subject.key)
  }

  /// Why missing slices are not looked for now; nil where they are.
  var vainFault: Fault? {
    guard !isFound, let subject = request.absence else { return nil }
    let absences = worker.gateway.absences
    if case .failing(504, _) = absences.standing(of: subject.key, at: worker.loop.now) {
      return Fault(.timeout, .upstream)
    }
    guard worker.searches.isFull, absences.hasFailed(subject.key, at: worker.loop.now) else {
      return nil
    }
    worker.searches.noteRefusal()
    return Fault(.exhausted, .upstream)
  }

  /// Finds out whether the site's own rules made the answer, and what they say.
  private func askSite(_ subject: AbsenceSubject) {
    let worker = worker
    // What a query has chosen is not for all.
    guard request.content != nil, !request.target.contains(UInt8(ascii: "?")),
      worker.gateway.options.negativeTTL > .zero,
      worker.absenceProofs.hasRoom, var question = subject.question,
      worker.gateway.siteAnswers.begin(subject.key, at: worker.loop.now)
    else { return }
    question.region = request.region
    var asked = UpstreamRequest(target: request.target, host: request.host, fields: request.fields)
    asked.region = request.region
    let again = asked
    worker.absenceProofs.ask(worker, question) {
      SiteAnswerFetch(worker, subject.key, again).start()
    }
  }
}
