internal import Base
public import Upstreams

/// What an operator may set about the gateway itself.
public struct GatewayOptions: Sendable {
  public var upstream = UpstreamOptions()

  public init() {}

  /// Bodies below this many bytes follow their head in one send, by copy.
  static let copiedBytes = 16 * 1024
  /// What one exchange sends in a turn before others get theirs.
  static let bytesPerTurn = 1 << 20
  /// What the disk threads read ahead of a sendfile that would wait.
  static let readAheadBytes = 512 * 1024
  /// A download nobody waits for any more is finished if so few bytes are missing.
  static let worthFinishing: Int64 = 4 << 20
  /// How often jobs are offered again to a cache writer whose queue was full.
  static let writerPause = Interval.milliseconds(5)
  /// How long jobs are offered before the answer goes on without being kept.
  static let writerPatience = Interval.seconds(1)
  /// Slices that may wait for such a writer before a fetch pauses.
  static let waitingJobs = 8
  /// Slices looked up in the index to find how far a fetch must go.
  static let runSlices = 256
  /// Larger bodies are not held in memory for a check against their CID.
  ///
  /// Blocks end at 2 MiB.
  static let verifiedBytes: Int64 = 8 << 20
  /// How often an answer begins anew after a fill that was given up or lost what it had.
  static let newBeginnings = 3
  /// Exchanges kept for the next requests.
  static let pooledExchanges = 256
}
