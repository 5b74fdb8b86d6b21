internal import Base
internal import Synchronization

/// How many connections each client has, over all workers.
///
/// Exact, behind locks that new and ending connections take: there are never more entries than connections. A client
/// is an IPv4 address, or an IPv6 network of 64 bits.
public final class ClientCounts: Sendable {
  /// A connection's part of its client's number, until it goes.
  final class Place: Sendable {
    private let counts: ClientCounts
    private let client: NetworkAddress

    fileprivate init(_ counts: ClientCounts, _ client: NetworkAddress) {
      self.counts = counts
      self.client = client
    }

    deinit { counts.leave(client) }
  }

  /// A part of all clients, behind a lock of its own.
  private final class Shard: Sendable {
    let numbers = Mutex<[NetworkAddress: Int]>([:])
  }

  private let limit: Int
  /// As many as there are often workers.
  private let shards = (0..<16).map { _ in Shard() }

  /// - Parameter limit: connections of one client at a time.
  public init(limit: Int) {
    self.limit = limit
  }

  /// Counts a connection of a client; nil where it has all that it may.
  func enter(_ address: NetworkAddress) -> Place? {
    let client = Self.client(address)
    let isIn = shard(of: client).numbers.withLock { numbers in
      let number = numbers[client, default: 0]
      guard number < limit else { return false }
      numbers[client] = number + 1
      return true
    }
    return isIn ? Place(self, client) : nil
  }

  private func leave(_ client: NetworkAddress) {
    shard(of: client).numbers.withLock { numbers in
      let number = numbers[client, default: 0]
      numbers[client] = number > 1 ? number - 1 : nil
    }
  }

  /// Connections of a client.
  func count(_ address: NetworkAddress) -> Int {
    let client = Self.client(address)
    return shard(of: client).numbers.withLock { $0[client] ?? 0 }
  }

  private static func client(_ address: NetworkAddress) -> NetworkAddress {
    address.isIPv4 ? address : NetworkAddress(high: address.high, low: 0)
  }

  private func shard(of client: NetworkAddress) -> Shard {
    // The standard library's hash has a key of the process's own.
    shards[Int(UInt(bitPattern: client.hashValue) % UInt(shards.count))]
  }
}
