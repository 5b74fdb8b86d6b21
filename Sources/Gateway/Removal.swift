public import Base
internal import Cache
internal import EventLoop
public import IPFS
internal import Router
internal import Synchronization

/// What is to be removed from the cache, by canonical key (see `Router`).
public struct RemovalSubject: Sendable {
  /// One object's canonical key, where it is one.
  let key: [UInt8]?
  let matches: @Sendable (RawSpan) -> Bool
  /// Tells the same by the record itself, for objects whose key does not say it.
  var matchesRecord: (@Sendable (RecordView, RawSpan) -> Bool)?
  /// Whether answers and fills have to be ended for it, and what is remembered of its absence forgotten; where workers
  /// have done so, they are only waited for.
  var endsAnswers = true

  /// One object, by its canonical key.
  public static func object(_ canonicalKey: [UInt8]) -> RemovalSubject {
    RemovalSubject(key: canonicalKey) { $0.equals(canonicalKey.rawBytes) }
  }

  /// All that is kept under a CID, in whatever form and at whatever path below it.
  public static func content(_ cid: CID) -> RemovalSubject {
    let place = CanonicalKey.place(of: cid)
    return RemovalSubject(key: nil) { key in
      key.byteCount > place.count && key.extracting(1..<1 + place.count).equals(place.rawBytes)
    }
  }

  /// Every object whose canonical key `body` says yes to.
  public static func all(where body: @escaping @Sendable (RawSpan) -> Bool) -> RemovalSubject {
    RemovalSubject(key: nil, matches: body)
  }
}

/// What a removal has come to.
public struct RemovalReceipt: Equatable, Sendable {
  /// Objects that were in the index.
  public var objects = 0
  /// Bytes that were taken off the disk.
  public var bytes = 0
  /// Fills that were cut.
  public var fills = 0
  /// Answers under way that were broken off.
  public var answers = 0
  /// Why it did not go to its end; what was found until then is noted, and removed at the next start.
  public var fault: Fault?
}

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
    guard let home = crew.members.first else {
      done(RemovalReceipt(fault: Fault(.unavailable, .own)))
      return
    }
    home.port.mailbox.post {
      guard let worker = home.worker else {
        done(RemovalReceipt(fault: Fault(.unavailable, .own)))
        return
      }
      Removal(worker, subject, done).begin()
    }
  }
}

/// The workers of a gateway, for what has to be said to all of them.
final class GatewayCrew: Sendable {
  /// Unchecked: the worker is asked for on its own thread only.
  final class Member: @unchecked Sendable {
    let port: WorkerPort
    private(set) weak var worker: GatewayWorker?

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

  /// Takes out the worker of a number, which has closed.
  func leave(_ number: Int) {
    joined.withLock { members in members.removeAll { $0.port.number == number } }
  }
}

/// One removal on its way; lives on one worker, whose thread all its steps run on.
///
/// Unchecked for that: what other threads hold of it is only posted back.
final class Removal: @unchecked Sendable {
  /// Weak: jobs of a writer that has ended hold what waits for them.
  private weak var worker: GatewayWorker?
  private let home: Mailbox
  private let subject: RemovalSubject
  private let done: @Sendable (RemovalReceipt) -> Void
  private var receipt = RemovalReceipt()
  /// Keys of records that match, and keys without a record whose bytes may be such an object's.
  private var found = Found()
  private var bytes: [StoredBytes] = []
  private var next = 0

  private struct Found {
    var keys: [Digest128] = []
    var lost: [Digest128] = []
  }

  /// Keys and places in one job of the cache writer: some milliseconds each.
  private static let batch = 500

  init(
    _ worker: GatewayWorker, _ subject: RemovalSubject,
    _ done: @escaping @Sendable (RemovalReceipt) -> Void
  ) {
    self.worker = worker
    home = worker.port.mailbox
    self.subject = subject
    self.done = done
  }

  func begin() {
    guard subject.endsAnswers else {
      onAllWorkers({ _ in 0 }) { [self] _ in flush() }
      return
    }
    onAllWorkers({ [subject] in $0.breakOff(subject) }) { [self] answers in
      receipt.answers += answers
      onAllWorkers({ [subject] in $0.cutFills(subject) }) { [self] fills in
        receipt.fills += fills
        worker?.gateway.absences.forget(subject)
        worker?.gateway.siteAnswers.forget(subject)
        flush()
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

  /// Runs something on each worker's thread, and then `then` here with what it came to in all.
  private func onAllWorkers(
    _ work: @escaping @Sendable (GatewayWorker) -> Int, _ then: @escaping @Sendable (Int) -> Void
  ) {
    let members = worker?.gateway.crew.members ?? []
    let home = home
    let outcome = Mutex((left: members.count, total: 0))
    let count = Shared(outcome)
    for member in members {
      member.port.mailbox.post {
        // One that has closed gives nothing any more.
        let part = member.worker.map(work) ?? 0
        let isLast = count.value.withLock { outcome in
          outcome.left -= 1
          outcome.total += part
          return outcome.left == 0 ? outcome.total : nil
        }
        if let isLast { home.post { then(isLast) } }
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
      found.keys = [gateway.storage.hash(key.rawBytes)]
      unlist()
      return
    }
    let (home, storage, subject) = (home, gateway.storage, subject)
    let isTaken = gateway.disk.submit { [self] in
      let found = Self.keys(in: storage, of: subject)
      home.post { [self] in
        switch found {
        case .success(let found):
          self.found = found
          spareOthers()
        case .failure(let fault): end(fault)
        }
      }
    }
    if !isTaken { end(Fault(.exhausted, .own)) }
  }

  /// The keys of all records that match, and of all bytes whose record has gone; reads the whole index, a
  /// batch in each read transaction.
  private static func keys(
    in storage: DiskStorage, of subject: RemovalSubject
  ) -> Result<Found, Fault> {
    do throws(Fault) {
      let reader = try storage.reader()
      var found = Found()
      var last: Digest128?
      repeat {
        last = try reader.scan(after: last, limit: 2_000) { key, bytes in
          if let record = RecordView(bytes),
            subject.matches(bytes.bytes(record.key))
              || subject.matchesRecord?(record, bytes) ?? false
          {
            found.keys.append(key)
          }
        }
        reader.endTurn()
      } while last != nil
      repeat {
        var keys: [Digest128] = []
        last = try reader.scanOrphans(after: last, limit: 2_000) { key in
          if keys.last != key { keys.append(key) }
        }
        for key in keys where try reader.lookUp(key, { _ in true }) == nil {
          found.lost.append(key)
        }
        reader.endTurn()
      } while last != nil
      return .success(found)
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
    onAllWorkers({ [subject] worker in
      let keys = worker.keysInUse(outside: subject)
      used.value.withLock { $0.formUnion(keys) }
      return keys.count
    }) { [self] _ in
      let others = used.value.withLock { $0 }
      found.lost.removeAll { others.contains($0) }
      unlist()
    }
  }

  private func unlist() {
    guard !found.keys.isEmpty || !found.lost.isEmpty else {
      // Who asked in between may have begun anew, and have looked a place up that the index forgot since.
      onAllWorkers({ [subject] in $0.cutFills(subject) }) { [self] fills in
        receipt.fills += fills
        onAllWorkers({ [subject] in $0.breakOff(subject) }) { [self] answers in
          receipt.answers += answers
          erase()
        }
      }
      return
    }
    let part = Found(
      keys: Array(found.keys.suffix(Self.batch)), lost: Array(found.lost.suffix(Self.batch)))
    found.keys.removeLast(part.keys.count)
    found.lost.removeLast(part.lost.count)
    let home = home
    submit(
      .unlist(keys: part.keys, lost: part.lost) { [self] event in
        home.post { [self] in
          switch event {
          case .unlisted(let objects, let found):
            receipt.objects += objects
            bytes += found
            unlist()
          case .failed(let fault): end(fault)
          default: break
          }
        }
      })
  }

  /// One job at least: what lies in a segment that is leaving may have lost its names already.
  private func erase() {
    let part = Array(bytes[next..<min(next + Self.batch, bytes.count)])
    next += part.count
    let home = home
    submit(
      .erase(part) { [self] event in
        home.post { [self] in
          switch event {
          case .committed:
            receipt.bytes += part.reduce(0) { $0 + $1.count }
            if next < bytes.count { erase() } else { end(nil) }
          case .failed(let fault): end(fault)
          default: break
          }
        }
      })
  }

  private func submit(_ job: WriteJob) {
    guard let worker else {
      end(Fault(.unavailable, .own))
      return
    }
    if !worker.gateway.storage.submit(job) { end(Fault(.exhausted, .disk)) }
  }

  private func end(_ fault: Fault?) {
    receipt.fault = fault
    done(receipt)
  }
}
