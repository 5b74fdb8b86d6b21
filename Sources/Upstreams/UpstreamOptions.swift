public import Base

/// How upstream servers are spoken to, and when one is taken for down.
public struct UpstreamOptions: Sendable {
  /// How long a connect may take, and how long a request may wait for a place at a server.
  public var connectTimeout: Interval
  /// From the request to the answer's first byte.
  ///
  /// Long: a node first has to find who has the content.
  public var firstByteTimeout: Interval
  /// Between two pieces of an answer; not counted while the consumer has no room.
  public var betweenBytesTimeout: Interval
  /// From the first try to the first byte, over all tries.
  public var allTriesTimeout: Interval
  /// The most idle connections that one worker keeps to one server; 0 keeps none.
  public var idlePerServer: Int
  /// How long an idle connection is kept.
  public var idleTimeout: Interval
  /// Failures within `failTimeout` that take a server down; 0 never does.
  public var maxFails: Int
  /// How long a failure counts, and how long a server is down before it is tried again.
  public var failTimeout: Interval
  /// How long a server that has come up gets less than its part.
  public var slowStart: Interval

  public init(
    connectTimeout: Interval = .seconds(10), firstByteTimeout: Interval = .seconds(40),
    betweenBytesTimeout: Interval = .seconds(20), allTriesTimeout: Interval = .seconds(90),
    idlePerServer: Int = 64, idleTimeout: Interval = .seconds(60), maxFails: Int = 2,
    failTimeout: Interval = .seconds(10), slowStart: Interval = .seconds(10)
  ) {
    self.connectTimeout = connectTimeout
    self.firstByteTimeout = firstByteTimeout
    self.betweenBytesTimeout = betweenBytesTimeout
    self.allTriesTimeout = allTriesTimeout
    self.idlePerServer = idlePerServer
    self.idleTimeout = idleTimeout
    self.maxFails = maxFails
    self.failTimeout = failTimeout
    self.slowStart = slowStart
  }

  /// The input buffer of a connection: a head with a small body, or a piece of a chunked one.
  ///
  /// For a body of 16 KiB a copy costs less than a second receive.
  static let inputBytes = 32 << 10
  /// What one connection may receive in a turn before others get theirs.
  static let bytesPerTurn = 256 << 10
  /// How long a server may take to say that it wants a body; then it is sent unasked (RFC 9110, 10.1.1).
  static let continuePatience = Interval.seconds(1)
  /// The most interim (1xx) heads before an answer; none is expected of a gateway.
  static let interimHeads = 8
  /// So much of a body shows that a server does well, though its end is still to come.
  static let convincingBytes: Int64 = 1 << 20
  /// A 504 after so long is a server that has looked for content in vain; an earlier one is its own trouble.
  static let searchTime = Interval.seconds(5)
  /// The longest that a server may have itself left alone.
  static let longestRest = Interval.seconds(60)
}

/// How servers are probed, whether they are asked or not.
public struct UpstreamProbe: Equatable, Sendable {
  /// The request target; any status of 200 to 299 is well.
  public var target: [UInt8]
  /// Zero where only those are asked that are down and that no request tries.
  public var interval: Interval
  /// From the connect to the head of the answer.
  public var timeout: Interval
  /// Probes in a row that must go well to take a server up.
  public var rise: Int
  /// Probes in a row that must fail to take it down.
  public var fall: Int

  public init(target: [UInt8], interval: Interval, timeout: Interval, rise: Int, fall: Int) {
    self.target = target
    self.interval = interval
    self.timeout = timeout
    self.rise = rise
    self.fall = fall
  }
}
