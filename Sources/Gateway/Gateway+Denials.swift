internal import Admission
public import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Logging
internal import Router
internal import Synchronization

/// What a change of the denylist comes to: answers and fetches end, and what is denied leaves the disk.
extension Gateway {
  /// Has all workers use another list; what they give or fetch against it ends.
  ///
  /// Called by the thread that looks at the files.
  public func take(_ change: DenylistChange, at now: Instant) {
    for member in crew.members {
      member.port.mailbox.post { member.worker?.take(change) }
    }
    guard let denials = options.denials else { return }
    let probe = change.added ?? change.list
    if probe.hasDenials { denials.sweeps.want(probe, change.list) }
    sweepIfDue(at: now)
  }

  /// Has everything that is denied leave the disk: at the start, when files may have changed meanwhile.
  public func sweepDenied(at now: Instant) {
    guard let denials = options.denials, storage.counters.snapshot.entries > 0 else { return }
    let list = denials.list
    if list.hasDenials { denials.sweeps.want(list, list) }
    sweepIfDue(at: now)
  }

  /// Begins a sweep that is wanted, where none is under way.
  public func sweepIfDue(at now: Instant) {
    guard let denials = options.denials, let (probe, list) = denials.sweeps.begin(at: now)
    else { return }
    let log = log
    remove(.denied(by: list, first: probe)) { receipt in
      if let fault = receipt.fault {
        denials.sweeps.failed(list)
        log.warning(
          "denied content could not be removed yet: it is not given, and tried again",
          metadata: ["fault": .string(fault.name)])
      } else {
        denials.sweeps.end()
        guard receipt.objects > 0 || receipt.fills > 0 else { return }
        log.notice(
          "denied content was removed",
          metadata: [
            "objects": .stringConvertible(receipt.objects),
            "bytes": .stringConvertible(receipt.bytes),
          ])
      }
    }
  }

  /// Removes one object of which only its answer told that it is denied.
  func removeDenied(_ canonicalKey: [UInt8]) {
    guard let denials = options.denials, denials.sweeps.beginOne(canonicalKey) else { return }
    var subject = RemovalSubject.object(canonicalKey)
    // Whoever else asks for it finds the same, and says so.
    subject.endsAnswers = false
    remove(subject) { _ in denials.sweeps.endOne(canonicalKey) }
  }
}

extension RemovalSubject {
  /// All that a list denies, by its key or by what its path leads through.
  ///
  /// - Parameter probe: A list that is asked first: only what it denies can be denied anew.
  static func denied(by list: Denylist, first probe: Denylist) -> RemovalSubject {
    let isOne = probe === list
    var subject = RemovalSubject.all { key in
      (isOne || probe.denial(ofKey: key) != nil) && list.denial(ofKey: key) != nil
    }
    // Workers that have the list have ended all this, and ask it before what they remember.
    subject.endsAnswers = false
    subject.matchesRecord = { record, bytes in
      guard let (root, remainder) = CanonicalKey.content(of: bytes.bytes(record.key)) else {
        return false
      }
      let etag = bytes.bytes(record.etag)
      if isOne || probe.denial(ofEtag: etag, root: root) != nil,
        list.denial(ofEtag: etag, root: root) != nil
      {
        return true
      }
      let path = bytes.bytes(record.key).bytes(remainder)
      var isDenied = false
      record.forEachField(in: bytes) { name, value in
        guard !isDenied, bytes.bytes(name).equalsIgnoringCase("x-ipfs-roots") else { return }
        let roots = bytes.bytes(value)
        isDenied =
          (isOne || probe.denial(ofRoots: roots, path: path) != nil)
          && list.denial(ofRoots: roots, path: path) != nil
      }
      return isDenied
    }
    return subject
  }
}

/// Which sweeps of the index are wanted and under way: one at a time, and what is wanted meanwhile becomes one.
final class DenialSweeps: Sendable {
  private struct State {
    var isUnderWay = false
    var wanted: (probe: Denylist, list: Denylist)?
    var began = Instant.zero
    var notBefore = Instant.zero
    var single: Set<[UInt8]> = []
  }

  /// How long after the beginning of a sweep that failed the next one may begin.
  private static let pause = Interval.seconds(10)
  /// Objects that are removed one by one at a time; others go when they are asked for again.
  private static let maximumSingle = 64

  private let state = Mutex(State())

  func want(_ probe: Denylist, _ list: Denylist) {
    state.withLock { state in
      // Of two lists of additions the whole is asked.
      state.wanted = (state.wanted == nil ? probe : list, list)
    }
  }

  func begin(at now: Instant) -> (probe: Denylist, list: Denylist)? {
    state.withLock { state in
      guard !state.isUnderWay, now >= state.notBefore, let wanted = state.wanted else {
        return nil
      }
      state.isUnderWay = true
      state.began = now
      state.wanted = nil
      return wanted
    }
  }

  func end() { state.withLock { $0.isUnderWay = false } }

  func failed(_ list: Denylist) {
    state.withLock { state in
      state.isUnderWay = false
      state.notBefore = state.began + Self.pause
      if let wanted = state.wanted { state.wanted = (wanted.list, wanted.list) }
      if state.wanted == nil { state.wanted = (list, list) }
    }
  }

  /// Whether nothing is under way or wanted; for tests.
  var isIdle: Bool {
    state.withLock { !$0.isUnderWay && $0.wanted == nil && $0.single.isEmpty }
  }

  func beginOne(_ key: [UInt8]) -> Bool {
    state.withLock { state in
      state.single.count < Self.maximumSingle && state.single.insert(key).inserted
    }
  }

  func endOne(_ key: [UInt8]) { state.withLock { _ = $0.single.remove(key) } }
}
