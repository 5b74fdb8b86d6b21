public import Base
internal import Synchronization

/// The fills in flight, for all workers; in shards, so that misses do not queue for one lock.
///
/// Lock order: a shard, then a fill.
public final class FillTable: Sendable {
  private struct Shard: ~Copyable, Sendable {
    let fills = Mutex<[Digest128: Fill]>([:])
  }

  private let shards: [ShardBox]
  private final class ShardBox: Sendable {
    let shard = Shard()
  }

  public init() {
    shards = (0..<64).map { _ in ShardBox() }
  }

  private func shard(_ key: Digest128) -> ShardBox {
    shards[Int(key.first % UInt64(shards.count))]
  }

  /// The fill of a key, or a new one made by `create`; whichever it is, `reader` makes the client's
  /// reader of it, which is attached before the fill could be forgotten.
  ///
  /// - Returns: the reader, and whether its fill is new; nil where the key belongs to another object.
  public func join<Reader: FillReader>(
    _ key: Digest128, canonicalKey: [UInt8], create: () -> Fill, reader: (Fill) -> Reader
  ) -> (reader: Reader, isNew: Bool)? {
    shard(key).shard.fills.withLock { fills in
      if let fill = fills[key] {
        guard fill.canonicalKey == canonicalKey else { return nil }
        let joined = reader(fill)
        fill.attach(joined)
        return (joined, false)
      }
      let fill = create()
      fills[key] = fill
      let first = reader(fill)
      fill.attach(first)
      return (first, true)
    }
  }

  /// The fill of a key; nil where there is none, or one of another object.
  public func find(_ key: Digest128, canonicalKey: [UInt8]) -> Fill? {
    let found = shard(key).shard.fills.withLock { $0[key] }
    return found?.canonicalKey == canonicalKey ? found : nil
  }

  /// How many there are.
  public var count: Int { shards.reduce(0) { $0 + $1.shard.fills.withLock(\.count) } }

  func remove(_ fill: Fill) {
    shard(fill.key).shard.fills.withLock { fills in
      if fills[fill.key] === fill { fills[fill.key] = nil }
    }
  }

  func removeIfDone(_ fill: Fill) {
    shard(fill.key).shard.fills.withLock { fills in
      guard fills[fill.key] === fill, fill.claimDone() else { return }
      fills[fill.key] = nil
    }
  }
}
