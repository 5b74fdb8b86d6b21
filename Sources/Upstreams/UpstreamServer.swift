public import Base
internal import Synchronization
public import System

/// An upstream server as all workers see it: where it is, and how it does.
public final class UpstreamServer: Sendable {
  public let address: SocketAddress
  /// As configured.
  public let name: String
  /// The server's `ip:port`: what Host says where a request names no other.
  let authority: [UInt8]

  private let activeTries = Atomic<Int>(0)
  private let failure = Atomic<Int64>(UpstreamServer.noFailure)
  /// When it last sent wrong bytes: what it answers since does not make up for that.
  private let lie = Atomic<Int64>(UpstreamServer.noFailure)
  private let triesBegun = Atomic<Int>(0)
  private let triesFailed = Atomic<Int>(0)
  private static let noFailure = Int64.min

  public init(address: SocketAddress, name: String) {
    self.address = address
    self.name = name
    authority = [UInt8](address.description.utf8)
  }

  /// Requests under way, of all workers.
  public var active: Int { activeTries.load(ordering: .relaxed) }
  /// Requests begun since the process started, each try counted.
  public var requests: Int { triesBegun.load(ordering: .relaxed) }
  /// Tries that ended with the server's fault.
  public var errors: Int { triesFailed.load(ordering: .relaxed) }

  /// When it last could not be reached, broke before an answer's first byte and has not answered since,
  /// or sent wrong bytes; nil where it never did.
  public var lastFailure: Instant? {
    let nanoseconds = max(failure.load(ordering: .relaxed), lie.load(ordering: .relaxed))
    return nanoseconds == Self.noFailure ? nil : Instant(nanoseconds: nanoseconds)
  }

  func tryBegan() {
    activeTries.add(1, ordering: .relaxed)
    triesBegun.add(1, ordering: .relaxed)
  }

  func tryEnded() { activeTries.subtract(1, ordering: .relaxed) }

  /// Counts an answer that was not what it should have been.
  public func countError() { triesFailed.add(1, ordering: .relaxed) }

  /// Notes that what it sent was wrong: it counts as an error, and others are asked first for a while.
  public func blame(at now: Instant) {
    countError()
    lie.store(now.nanoseconds, ordering: .relaxed)
  }

  func failed(at now: Instant) { failure.store(now.nanoseconds, ordering: .relaxed) }

  func answered() {
    // Read first: the line stays shared between workers as long as all is well.
    if failure.load(ordering: .relaxed) != Self.noFailure {
      failure.store(Self.noFailure, ordering: .relaxed)
    }
  }
}

/// Servers that can answer for one another: those of one place.
public final class UpstreamRegion: Sendable {
  public let name: String
  public let servers: [UpstreamServer]

  public init(name: String, servers: [UpstreamServer]) {
    self.name = name
    self.servers = servers
  }
}
