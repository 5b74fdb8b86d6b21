public import Base

/// How upstream servers are spoken to.
public struct UpstreamOptions: Sendable {
  /// How long a connect may take.
  public var connectTimeout: Interval
  /// From the request to the answer's first byte.
  ///
  /// Long: a node first has to find who has the content.
  public var firstByteTimeout: Interval
  /// Between two pieces of an answer; not counted while the consumer has no room.
  public var betweenBytesTimeout: Interval
  /// The most idle connections that one worker keeps to one server; 0 keeps none.
  public var idlePerServer: Int
  /// How long an idle connection is kept.
  public var idleTimeout: Interval
  /// How long a server ranks last after it could not be reached.
  public var failTimeout: Interval

  public init(
    connectTimeout: Interval = .seconds(10), firstByteTimeout: Interval = .seconds(40),
    betweenBytesTimeout: Interval = .seconds(20), idlePerServer: Int = 64,
    idleTimeout: Interval = .seconds(60), failTimeout: Interval = .seconds(10)
  ) {
    self.connectTimeout = connectTimeout
    self.firstByteTimeout = firstByteTimeout
    self.betweenBytesTimeout = betweenBytesTimeout
    self.idlePerServer = idlePerServer
    self.idleTimeout = idleTimeout
    self.failTimeout = failTimeout
  }

  /// The input buffer of a connection: a head with a small body, or a piece of a chunked one.
  ///
  /// For a body of 16 KiB a copy costs less than a second receive.
  static let inputBytes = 32 << 10
  /// What one connection may receive in a turn before others get theirs.
  static let bytesPerTurn = 256 << 10
  /// The most interim (1xx) heads before an answer; none is expected of a gateway.
  static let interimHeads = 8
}
