internal import Base
internal import EventLoop
internal import Synchronization
internal import System
internal import Telemetry

/// The workers that listen on the same addresses, and how many connections each of them has.
///
/// The kernel chooses a listening socket by a hash of the addresses. Of few connections one worker may get
/// nearly all: then the one that accepted hands new ones on to the worker that has the fewest.
public final class ServerCrew: Sendable {
  /// One worker, as the others see it.
  private final class Member: Sendable {
    let mailbox: Mailbox
    let load = Atomic<Int>(0)
    let worker: Colleague

    init(_ worker: ServerWorker) {
      mailbox = worker.loop.mailbox
      self.worker = Colleague(worker)
    }
  }

  /// A worker that is touched only in messages that run on its own thread.
  private final class Colleague: @unchecked Sendable {
    /// Nil once it has gone.
    ///
    /// Unowned, since a weak reference makes each count of references to it a slow one.
    unowned var worker: ServerWorker?

    init(_ worker: ServerWorker) { self.worker = worker }

    /// Gives it a connection; one that comes after its end is closed.
    func take(_ socket: Int32, from peer: SocketAddress, _ traits: ListenerTraits) {
      if let worker {
        worker.adopt(socket, from: peer, traits)
      } else {
        SocketCalls.close(socket)
      }
    }
  }

  private let members: [Member]

  /// A crew of these workers.
  ///
  /// To be made before they listen.
  @discardableResult
  public init(_ workers: [ServerWorker]) {
    members = workers.map(Member.init)
    for (number, worker) in workers.enumerated() { worker.crew = (self, number) }
  }

  /// Finds the worker for a connection that one of them has accepted, and counts it there; nil: it
  /// keeps the connection.
  private func target(from number: Int) -> Member? {
    var least = number
    for other in members.indices where load(of: other) < load(of: least) { least = other }
    let isUneven = Self.isUneven(own: load(of: number), least: load(of: least))
    let member = members[isUneven ? least : number]
    member.load.add(1, ordering: .relaxed)
    return isUneven && least != number ? member : nil
  }

  /// Whether a worker with so many connections gives a new one to a worker that has the fewest.
  ///
  /// One more is enough where there are few, since each may be a heavy one; among many an eighth is, since a
  /// connection costs the least where it was accepted.
  static func isUneven(own: Int, least: Int) -> Bool { own > least + least / 8 }

  private func load(of number: Int) -> Int { members[number].load.load(ordering: .relaxed) }

  /// Hands a connection on where another worker has fewer; false where it stays.
  func handOver(
    _ socket: Int32, from peer: SocketAddress, _ traits: ListenerTraits, by number: Int
  ) -> Bool {
    guard let member = target(from: number) else { return false }
    member.mailbox.post { member.worker.take(socket, from: peer, traits) }
    return true
  }

  /// A worker goes.
  func forget(_ number: Int) { members[number].worker.worker = nil }

  /// A connection of a worker has ended.
  func ended(at number: Int) { members[number].load.subtract(1, ordering: .relaxed) }
}
