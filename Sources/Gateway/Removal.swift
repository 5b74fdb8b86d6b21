internal import Base
internal import Cache
internal import EventLoop
internal import Synchronization

extension Gateway {
  /// Removes content: answers under way are broken off, fills are cut, the index forgets it, and its bytes
  /// are taken off the disk.
  ///
  /// The order makes sure of it: first nobody gives it any more, then nobody brings it, then nobody finds
  /// it, and when no worker can have its place in hand, its bytes go. Who asks for it meanwhile has it
  /// fetched anew: to keep content away is a denylist's work. `done` is called on some worker's
  /// thread; at once, with a fault, where there is no worker.
  public func remove(
    _ subject: RemovalSubject, _ done: @escaping @Sendable (RemovalReceipt) -> Void
  ) {
    removeAll(subject) { done($0.sum) }
  }

  /// The same for many subjects at once, which reads the index once for all of them.
  public func remove(
    _ batch: RemovalBatch, _ done: @escaping @Sendable (RemovalOutcome) -> Void
  ) {
    if batch.count == 0 { return done(RemovalOutcome(parts: 0)) }
    removeAll(batch.subject, done)
  }

  private func removeAll(
    _ subject: RemovalSubject, _ done: @escaping @Sendable (RemovalOutcome) -> Void
  ) {
    guard let home = crew.members.first else {
      done(RemovalOutcome(parts: subject.parts, fault: Fault(.unavailable, .own)))
      return
    }
    home.port.mailbox.post {
      guard home.worker != nil else {
        done(RemovalOutcome(parts: subject.parts, fault: Fault(.unavailable, .own)))
        return
      }
      Removal(home, subject, done).begin()
    }
  }
}

/// The workers of a gateway, for what has to be said to all of them.
final class GatewayCrew: Sendable {
  /// Unchecked: the worker is asked for on its own thread only.
  final class Member: @unchecked Sendable {
    let port: WorkerPort
    /// Nil once it has closed.
    ///
    /// Unowned, since a weak reference makes each count of references to the worker,
    /// on every hit, a slow one.
    fileprivate(set) unowned var worker: GatewayWorker?

    init(_ worker: GatewayWorker) {
      port = worker.port
      self.worker = worker
    }
  }

  private let joined = Mutex<[Member]>([])

  var members: [Member] { joined.withLock { $0 } }

  func join(_ worker: GatewayWorker) {
    let member = Member(worker)
    joined.withLock { $0.append(member) }
  }

  /// Takes out the worker of a number, which closes; called on its thread.
  func leave(_ number: Int) {
    joined.withLock { members in
      members.removeAll { member in
        guard member.port.number == number else { return false }
        member.worker = nil
        return true
      }
    }
  }
}

/// One removal on its way; lives on one worker, whose thread all its steps run on.
///
/// Unchecked for that: what other threads hold of it is only posted back.
final class Removal: @unchecked Sendable {
  /// Jobs of a writer that has ended hold what waits for them, so this must not hold a worker that has closed.
  private let member: GatewayCrew.Member
  private let home: Mailbox
  private let subject: RemovalSubject
  private let done: @Sendable (RemovalOutcome) -> Void
  private var outcome: RemovalOutcome
  /// The first that went wrong once something had been forgotten: the rest of that is erased all the same.
  private var trouble: Fault?
  /// Keys of records that match, and keys without a record whose bytes may be such an object's.
  private var found = Found()
  /// Which part of the subject each key that was found is of: all that has to be let go of by workers.
  private var parts: [Digest128: Int] = [:]
  private var bytes: [(place: StoredBytes, part: Int?)] = []
  private var next = 0
  /// How far the index has been told to forget what was found: groups of keys, keys of the next, lost keys.
  private var nextGroup = 0
  private var nextKey = 0
  private var nextLost = 0
  /// Lost keys whose bytes somebody reads now, of other content.
  private var spared: Set<Digest128> = []

  private struct Found {
    /// By the part of the subject that they are of.
    var keys: [(part: Int, keys: [Digest128])] = []
    var lost: [Digest128] = []
    /// The parts by their keys; made where the keys are found, since there may be a million.
    var parts: [Digest128: Int] = [:]
  }

  /// Keys and places in one job of the cache writer: some milliseconds each.
  private static let batch = 500

  private var worker: GatewayWorker? { member.worker }

  init(
    _ member: GatewayCrew.Member, _ subject: RemovalSubject,
    _ done: @escaping @Sendable (RemovalOutcome) -> Void
  ) {
    self.member = member
    home = member.port.mailbox
    self.subject = subject
    self.done = done
    outcome = RemovalOutcome(parts: subject.parts)
  }

  func begin() {
    guard subject.endsAnswers else {
      onAllWorkers({ _ in [:] }) { [self] _ in flush() }
      return
    }
    cut { [self] in forget() }
  }

  /// Forgets what is remembered of it in memory, where that takes a while on a thread that may.
  private func forget() {
    guard let gateway = worker?.gateway else {
      end(Fault(.unavailable, .own))
      return
    }
    if subject.key != nil {
      gateway.absences.forget(subject)
      gateway.siteAnswers.forget(subject)
      flush()
      return
    }
    let home = home
    let isTaken = gateway.scans.submit { [self, subject] in
      gateway.absences.forget(subject)
      gateway.siteAnswers.forget(subject)
      home.post { [self] in flush() }
    }
    if !isTaken { end(Fault(.exhausted, .own)) }
  }

  /// Breaks off who gives it, then cuts who brings it.
  private func cut(_ then: @escaping @Sendable () -> Void) {
    onAllWorkers({ [subject, parts] in $0.breakOff(subject, parts) }) { [self] answers in
      for (part, count) in answers { outcome.parts[part].answers += count }
      onAllWorkers({ [subject, parts] in $0.cutFills(subject, parts) }) { [self] fills in
        for (part, count) in fills { outcome.parts[part].fills += count }
        then()
      }
    }
  }

  /// Has the index know all that was brought until now.
  private func flush() {
    let home = home
    submit(
      .flush { [self] event in
        home.post { [self] in
          if case .failed(let fault) = event { end(fault) } else { find() }
        }
      })
  }

  /// Runs something on each worker's thread, and then `then` here with what it came to in all, by part.
  private func onAllWorkers(
    _ work: @escaping @Sendable (GatewayWorker) -> [Int: Int],
    _ then: @escaping @Sendable ([Int: Int]) -> Void
  ) {
    let members = worker?.gateway.crew.members ?? []
    let home = home
    let outcome = Mutex((left: members.count, total: [Int: Int]()))
    let count = Shared(outcome)
    for member in members {
      member.port.mailbox.post {
        // One that has closed gives nothing any more.
        let part = member.worker.map(work) ?? [:]
        let all: [Int: Int]? = count.value.withLock { outcome in
          outcome.left -= 1
          outcome.total.merge(part, uniquingKeysWith: +)
          return outcome.left == 0 ? outcome.total : nil
        }
        if let all { home.post { then(all) } }
      }
    }
    if members.isEmpty { end(Fault(.unavailable, .own)) }
  }

  private final class Shared<Value: ~Copyable & Sendable>: Sendable {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
  }

  // MARK: In the index

  private func find() {
    guard let gateway = worker?.gateway else {
      end(Fault(.unavailable, .own))
      return
    }
    if let key = subject.key {
      let hash = gateway.storage.hash(key.rawBytes)
      take(Found(keys: [(0, [hash])], parts: [hash: 0]))
      unlist()
      return
    }
    let (home, storage, subject) = (home, gateway.storage, subject)
    let isTaken = gateway.scans.submit { [self] in
      let found = Self.keys(in: storage, of: subject)
      home.post { [self] in
        switch found {
        case .success(let found):
          take(found)
          spareOthers()
        case .failure(let fault): end(fault)
        }
      }
    }
    if !isTaken { end(Fault(.exhausted, .own)) }
  }

  private func take(_ found: Found) {
    self.found = found
    parts = found.parts
  }

  /// The keys of all records that match, and of all bytes whose record has gone; reads the whole index, a
  /// batch in each read transaction.
  private static func keys(
    in storage: DiskStorage, of subject: RemovalSubject
  ) -> Result<Found, Fault> {
    do throws(Fault) {
      let reader = try storage.reader()
      var keys: [[Digest128]] = Array(repeating: [], count: subject.parts)
      var lost: [Digest128] = []
      var last: Digest128?
      repeat {
        last = try reader.scan(after: last, limit: 2_000) { key, bytes in
          if let record = RecordView(bytes), let part = subject.part(of: record, bytes) {
            keys[part].append(key)
          }
        }
        reader.endTurn()
      } while last != nil
      repeat {
        var orphans: [Digest128] = []
        last = try reader.scanOrphans(after: last, limit: 2_000) { key in
          if orphans.last != key { orphans.append(key) }
        }
        for key in orphans where try reader.lookUp(key, { _ in true }) == nil {
          lost.append(key)
        }
        reader.endTurn()
      } while last != nil
      let found = keys.enumerated().filter { !$0.element.isEmpty }
      var parts = [Digest128: Int](minimumCapacity: found.reduce(0) { $0 + $1.element.count })
      for (part, keys) in found { for key in keys { parts[key] = part } }
      return .success(
        Found(keys: found.map { ($0.offset, $0.element) }, lost: lost, parts: parts))
    } catch {
      return .failure(error)
    }
  }

  /// Leaves those lost bytes alone that somebody reads now, of other content.
  ///
  /// Nobody can tell whose the rest are: the name of what they belong to went with its record, as when
  /// that was evicted while its fill went on. They are of no use to anybody.
  private func spareOthers() {
    if found.lost.isEmpty {
      unlist()
      return
    }
    let used = Shared(Mutex<Set<Digest128>>([]))
    onAllWorkers({ [subject, parts] worker in
      let keys = worker.keysInUse(outside: subject, parts)
      used.value.withLock { $0.formUnion(keys) }
      return [:]
    }) { [self] _ in
      spared = used.value.withLock { $0 }
      unlist()
    }
  }

  private func unlist() {
    guard nextGroup < found.keys.count || nextLost < found.lost.count else {
      // Who asked in between may have begun anew, and have looked a place up that the index forgot since.
      onAllWorkers({ [subject, parts] in $0.cutFills(subject, parts) }) { [self] fills in
        for (part, count) in fills { outcome.parts[part].fills += count }
        onAllWorkers({ [subject, parts] in $0.breakOff(subject, parts) }) { [self] answers in
          for (part, count) in answers { outcome.parts[part].answers += count }
          erase()
        }
      }
      return
    }
    // One part at a time, so that what is found is known to be of it.
    var (part, keys): (Int?, [Digest128]) = (nil, [])
    var lost: [Digest128] = []
    if nextGroup < found.keys.count {
      let group = found.keys[nextGroup]
      let end = min(nextKey + Self.batch, group.keys.count)
      (part, keys) = (group.part, Array(group.keys[nextKey..<end]))
      (nextGroup, nextKey) = end < group.keys.count ? (nextGroup, end) : (nextGroup + 1, 0)
    } else {
      let end = min(nextLost + Self.batch, found.lost.count)
      lost = found.lost[nextLost..<end].filter { !spared.contains($0) }
      nextLost = end
    }
    let home = home
    submit(
      .unlist(keys: keys, lost: lost) { [self, part] event in
        home.post { [self] in
          switch event {
          case .unlisted(let objects, let found):
            if let part { outcome.parts[part].objects += objects }
            bytes += found.map { ($0, part) }
            unlist()
          case .failed(let fault):
            trouble = fault
            (nextGroup, nextLost) = (self.found.keys.count, self.found.lost.count)
            unlist()
          default: break
          }
        }
      })
  }

  /// One job at least: what lies in a segment that is leaving may have lost its names already.
  ///
  /// After a fault all that is left goes at once: nobody else names these bytes, and the writer tries on by
  /// itself.
  private func erase() {
    let upTo = trouble == nil ? min(next + Self.batch, bytes.count) : bytes.count
    let now = Array(bytes[next..<upTo])
    next += now.count
    let home = home
    submit(
      .erase(now.map(\.place)) { [self] event in
        home.post { [self] in
          switch event {
          case .committed:
            for (place, part) in now {
              if let part {
                outcome.parts[part].bytes += place.count
              } else {
                outcome.lostBytes += place.count
              }
            }
            goOn()
          case .failed(let fault):
            trouble = trouble ?? fault
            goOn()
          default: break
          }
        }
      })
  }

  private func goOn() {
    if next < bytes.count { erase() } else { end(trouble) }
  }

  private func submit(_ job: WriteJob) {
    guard let worker else {
      end(Fault(.unavailable, .own))
      return
    }
    if !worker.gateway.storage.submit(job) { end(Fault(.exhausted, .disk)) }
  }

  private func end(_ fault: Fault?) {
    outcome.fault = fault
    done(outcome)
  }
}
