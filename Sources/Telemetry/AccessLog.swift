public import Base

/// One exchange as the access log tells it; the bytes stay the caller's.
///
/// Empty texts are left out of the line. Bytes from outside may be anything; a field longer than
/// `AccessLogLimits` allows is cut.
public struct AccessLogEntry: ~Escapable {
  /// When the request ended.
  public var time: WallTime
  /// From its head's end to the response's last byte.
  public var duration: Interval
  /// From its head's end to the response's first byte; nil where there was none.
  public var firstByte: Interval?
  /// How long it waited for servers; nil where none was needed.
  public var upstreamTime: Interval?
  /// The client's address as text.
  public var client: RawSpan
  public var method: RawSpan
  public var target: RawSpan
  /// The host that was asked, with its port.
  public var host: RawSpan
  /// The protocol, as `HTTP/1.1`.
  public var version: StaticString
  /// The version of TLS and the cipher suite, as OpenSSL names them; empty in cleartext.
  public var tls: RawSpan
  public var cipher: RawSpan
  public var status: Int
  /// Bytes of the response's body that were sent.
  public var bytesSent: Int
  /// Bytes of the request: its head, as HTTP/1.1 has it, and what was read of its body.
  public var bytesReceived: Int
  /// What the cache had (`hit`, `miss`, …).
  public var cache: StaticString
  /// Why it was not a hit or was not kept, a stable name.
  public var reason: StaticString
  /// The client's region, where a server was needed.
  public var region: RawSpan
  /// The upstream server asked last, as the settings name it.
  public var upstream: RawSpan
  public var referer: RawSpan
  public var userAgent: RawSpan
  /// Of a refusal the rule that caused it, by file and line.
  public var rule: RawSpan
  /// The trace that it belongs to, in hexadecimal digits.
  public var trace: RawSpan
  /// Whether its client left before the end.
  public var isAborted: Bool
  /// Of so many lines of its kind this is one.
  public var sample: Int

  @_lifetime(
    copy client, copy method, copy target, copy host, copy tls, copy cipher, copy region,
    copy upstream, copy referer, copy userAgent, copy trace, copy rule)
  public init(
    time: WallTime, duration: Interval, firstByte: Interval? = nil, upstreamTime: Interval? = nil,
    client: RawSpan, method: RawSpan, target: RawSpan, host: RawSpan = RawSpan(),
    version: StaticString, tls: RawSpan = RawSpan(), cipher: RawSpan = RawSpan(), status: Int,
    bytesSent: Int, bytesReceived: Int = 0, cache: StaticString, reason: StaticString = "",
    region: RawSpan = RawSpan(), upstream: RawSpan = RawSpan(), referer: RawSpan = RawSpan(),
    userAgent: RawSpan = RawSpan(), trace: RawSpan = RawSpan(), rule: RawSpan = RawSpan(),
    isAborted: Bool = false, sample: Int = 1
  ) {
    self.time = time
    self.duration = duration
    self.firstByte = firstByte
    self.upstreamTime = upstreamTime
    self.client = client
    self.method = method
    self.target = target
    self.host = host
    self.version = version
    self.tls = tls
    self.cipher = cipher
    self.status = status
    self.bytesSent = bytesSent
    self.bytesReceived = bytesReceived
    self.cache = cache
    self.reason = reason
    self.region = region
    self.upstream = upstream
    self.referer = referer
    self.userAgent = userAgent
    self.trace = trace
    self.isAborted = isAborted
    self.sample = sample
    self.rule = rule
  }
}

/// The form of the access log's lines.
public enum AccessLogFormat: Sendable {
  /// An object with stable names.
  case json
  /// What nginx calls `combined`.
  case combined
}

/// What the access log is to hold, and how.
public struct AccessLogOptions: Sendable {
  public var format = AccessLogFormat.json
  /// Of so many hits that went well one is logged, from 1.
  public var sample = 1
  /// Whether clients' addresses lose their last part.
  public var shortensAddresses = false

  public init() {}
}

/// The bounds of the access log's memory.
public enum AccessLogLimits {
  /// Bytes of a target that are logged: what matters of a content path fits, and a line stays small.
  public static let target = 4_096
  /// Bytes of every other field from outside that are logged.
  public static let field = 1_024
  /// A buffer so full goes to the writer.
  public static let buffer = 64 * 1_024
  /// The longest line: every byte of every field escaped to six, and the names.
  public static let line = 6 * (target + 10 * field) + 1_024
  /// A buffer that is not full goes to the writer after so long.
  public static let delay = Interval.seconds(1)
  /// Buffers that wait for the writer: 4 MiB of text, some seconds of a busy server.
  public static let waitingBuffers = 64
}

/// Turns entries into lines; one for each worker.
///
/// It keeps the text of the current second, so that most lines do no calendar. A bare literal given
/// to `append` would be a `String`, which costs more than a `StaticString`.
struct AccessLogFormatter: ~Copyable {
  private let format: AccessLogFormat
  private var second = Int64.min
  private var secondText = ByteBuffer(capacity: 64)

  init(_ format: AccessLogFormat = .json) {
    self.format = format
  }

  /// Appends one entry as one line.
  mutating func append(_ entry: borrowing AccessLogEntry, to line: inout ByteBuffer) {
    if entry.time.seconds != second {
      second = entry.time.seconds
      secondText.clear()
      switch format {
      case .json: secondText.append(utc: second)
      case .combined: secondText.append(commonLog: second)
      }
    }
    switch format {
    case .json: line.append(json: entry, second: secondText.readable)
    case .combined: line.append(combined: entry, second: secondText.readable)
    }
  }
}
