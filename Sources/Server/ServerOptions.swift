public import Base
public import HTTP1
public import HTTP2
public import TLS

/// What an operator may set about client connections.
public struct ServerOptions: Sendable {
  public var limits = HTTP1Limits()
  public var http2Limits = HTTP2Limits()
  /// From a request's first byte (or the connection's start) to the end of its head.
  public var headerTimeout = Interval.seconds(10)
  /// Between two requests.
  public var idleTimeout = Interval.seconds(75)
  /// While a body is awaited and the client sends no byte of it.
  public var bodyTimeout = Interval.seconds(60)
  /// While an answer waits and the client takes no byte.
  public var sendTimeout = Interval.seconds(60)
  /// Connections of one worker; more wait in the listener's backlog.
  public var connections = 10_000

  /// How many connections one client may have; nil for any number.
  public var clientCounts: ClientCounts?
  /// How slowly a client may take what is sent to it; nil for any pace.
  public var minSendRate: SendRate?

  /// Whose word on a client counts where connections begin with it.
  public var trustedProxies = NetworkSet()
  /// What listeners that ask for TLS have; without it they take no connections.
  public var certificates: CertificateStore?
  /// For how long browsers use nothing but TLS with this host (`Strict-Transport-Security`, RFC 6797).
  ///
  /// Nil says nothing of it. Only answers over TLS say it.
  public var strictTransport: Interval?

  /// What is set on every answer, or taken off it.
  public var headEdits = HeadEdits()

  public init() {}

  /// After the last answer: how long what the client still sends is read and dropped, so that the
  /// answer is not lost in a reset (RFC 9112, section 9.6).
  static let lingerTimeout = Interval.seconds(2)
  static let lingerBytes = 256 * 1024
  /// After descriptors ran out.
  static let acceptPause = Interval.milliseconds(250)
  /// Connections taken in one turn, so that a burst does not starve those that are open.
  static let acceptsPerTurn = 64
  /// Pipelined requests answered in one turn.
  static let requestsPerTurn = 32
  /// Answers gathered before one send.
  static let gatheredBytes = 64 * 1024
  static let inputBytes = 4 * 1024
  static let outputBytes = 4 * 1024

  // What an HTTP/2 connection takes and gives.

  /// Read at once, all of which the session takes: heads of many requests, or two frames of a body.
  static let http2InputBytes = 32 * 1024
  /// Read, and sent, in one turn before others come.
  static let http2BytesPerTurn = 256 * 1024
  /// Streams whose small bodies (below 16 KiB) may lie in memory before their turn; others are asked for
  /// theirs when it comes.
  static let http2StagedBodies = 16
  /// What a stream that waits for its next use may hold.
  static let http2KeptOutputBytes = 32 * 1024
  /// From the word that a connection will end to the last request that is taken: a round trip.
  static let http2LastCall = Interval.seconds(1)
}
