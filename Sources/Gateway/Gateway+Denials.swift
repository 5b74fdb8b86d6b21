internal import Admission
internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Logging
internal import Router
internal import Synchronization
internal import System

/// What a change of the denylist comes to: answers and fetches end, and what is denied leaves the disk.
extension Gateway {
  /// Has all workers use another list; what they give or fetch against it ends.
  ///
  /// Called by the thread that looks at the files.
  public func take(_ change: DenylistChange) {
    for member in crew.members {
      member.port.mailbox.post { member.worker?.take(change) }
    }
    guard let denials = options.denials else { return }
    let probe = change.added ?? change.list
    if probe.hasDenials { denials.sweeps.want(probe, change.list) }
    sweepIfDue()
  }

  /// Has everything that is denied leave the disk: at the start, when files may have changed meanwhile.
  public func sweepDenied() {
    guard let denials = options.denials, storage.counters.snapshot.entries > 0 else { return }
    let list = denials.list
    if list.hasDenials { denials.sweeps.want(list, list) }
    sweepIfDue()
  }

  /// Begins a sweep that is wanted, where none is under way.
  public func sweepIfDue() {
    guard let denials = options.denials, let (probe, list) = denials.sweeps.begin(at: Clock.now)
    else { return }
    let log = log
    remove(.denied(by: list, first: probe)) { receipt in
      if let fault = receipt.fault {
        denials.sweeps.failed(list, at: Clock.now)
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
    remove(.object(canonicalKey)) { _ in denials.sweeps.endOne(canonicalKey) }
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
    var notBefore = Instant.zero
    var single: Set<[UInt8]> = []
  }

  /// How long after a sweep that failed the next one begins.
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
      state.wanted = nil
      return wanted
    }
  }

  func end() { state.withLock { $0.isUnderWay = false } }

  func failed(_ list: Denylist, at now: Instant) {
    state.withLock { state in
      state.isUnderWay = false
      state.notBefore = now + Self.pause
      if let wanted = state.wanted { state.wanted = (wanted.list, wanted.list) }
      if state.wanted == nil { state.wanted = (list, list) }
    }
  }

  func beginOne(_ key: [UInt8]) -> Bool {
    state.withLock { state in
      state.single.count < Self.maximumSingle && state.single.insert(key).inserted
    }
  }

  func endOne(_ key: [UInt8]) { state.withLock { _ = $0.single.remove(key) } }
}
