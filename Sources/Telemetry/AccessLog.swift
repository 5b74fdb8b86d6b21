public import Base

/// One exchange as the access log tells it; the bytes stay the caller's.
///
/// Empty texts are left out of the line. Bytes from outside may be anything; a field longer than
/// `AccessLogLimits` allows is cut.
public struct AccessLogEntry: ~Escapable {
  /// When the request's head was complete.
  public var time: WallTime
  /// From then to the response's last byte.
  public var duration: Interval
  /// The client's address as text.
  public var client: RawSpan
  public var method: RawSpan
  public var target: RawSpan
  /// The protocol, as `HTTP/1.1`.
  public var version: StaticString
  public var status: Int
  /// Bytes of the response's body that were sent.
  public var bytesSent: Int
  /// What the cache had (`hit`, `miss`, …).
  public var cache: StaticString
  /// Why it was not a hit or was not kept, a stable name.
  public var reason: StaticString
  /// The upstream server asked last, as the settings name it.
  public var upstream: RawSpan
  public var referer: RawSpan
  public var userAgent: RawSpan
  /// Of a refusal the rule that caused it, by file and line.
  public var rule: RawSpan

  @_lifetime(
    copy client, copy method, copy target, copy upstream, copy referer, copy userAgent, copy rule)
  public init(
    time: WallTime, duration: Interval, client: RawSpan, method: RawSpan, target: RawSpan,
    version: StaticString, status: Int, bytesSent: Int, cache: StaticString,
    reason: StaticString = "", upstream: RawSpan = RawSpan(), referer: RawSpan = RawSpan(),
    userAgent: RawSpan = RawSpan(), rule: RawSpan = RawSpan()
  ) {
    self.time = time
    self.duration = duration
    self.client = client
    self.method = method
    self.target = target
    self.version = version
    self.status = status
    self.bytesSent = bytesSent
    self.cache = cache
    self.reason = reason
    self.upstream = upstream
    self.referer = referer
    self.userAgent = userAgent
    self.rule = rule
  }
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
  public static let line = 6 * (target + 6 * field) + 512
  /// A buffer that is not full goes to the writer after so long.
  public static let delay = Interval.seconds(1)
  /// Buffers that wait for the writer: 4 MiB of text, some seconds of a busy server.
  public static let waitingBuffers = 64
}

/// Turns entries into lines of JSON; one for each worker.
///
/// It keeps the text of the current second, so that most lines do no calendar. A bare literal given
/// to `append` would be a `String`, which costs more than a `StaticString`.
struct AccessLogFormatter: ~Copyable {
  private var second = Int64.min
  private var secondText = ByteBuffer(capacity: 64)

  /// Appends one entry as one line.
  mutating func append(_ entry: borrowing AccessLogEntry, to line: inout ByteBuffer) {
    if entry.time.seconds != second {
      second = entry.time.seconds
      secondText.clear()
      secondText.append(utc: second)
    }
    line.append("{\"time\":\"" as StaticString)
    line.append(secondText.readable)
    line.append(0x2e)
    line.append(entry.time.milliseconds, digits: 3)
    line.append("Z\"" as StaticString)
    Self.append(",\"client\":\"", entry.client, to: &line)
    Self.append(",\"method\":\"", entry.method, to: &line)
    Self.append(",\"target\":\"", entry.target, limit: AccessLogLimits.target, to: &line)
    Self.append(",\"version\":\"", entry.version, to: &line)
    line.append(",\"status\":" as StaticString)
    line.append(decimal: entry.status)
    line.append(",\"bytes\":" as StaticString)
    line.append(decimal: entry.bytesSent)
    line.append(",\"duration\":" as StaticString)
    let microseconds = max(entry.duration.nanoseconds, 0) / 1_000
    line.append(decimal: microseconds / 1_000_000)
    line.append(0x2e)
    line.append(Int(microseconds % 1_000_000), digits: 6)
    Self.append(",\"cache\":\"", entry.cache, to: &line)
    Self.append(",\"reason\":\"", entry.reason, to: &line)
    Self.append(",\"rule\":\"", entry.rule, to: &line)
    Self.append(",\"upstream\":\"", entry.upstream, to: &line)
    Self.append(",\"referer\":\"", entry.referer, to: &line)
    Self.append(",\"user_agent\":\"", entry.userAgent, to: &line)
    line.append("}\n" as StaticString)
  }

  private static func append(
    _ name: StaticString, _ bytes: RawSpan, limit: Int = AccessLogLimits.field,
    to line: inout ByteBuffer
  ) {
    if bytes.isEmpty { return }
    line.append(name)
    line.append(jsonEscaping: bytes.extracting(0..<min(bytes.byteCount, limit)))
    line.append(0x22)
  }

  /// The text is a name of the program's own, which needs no escape.
  private static func append(
    _ name: StaticString, _ text: StaticString, to line: inout ByteBuffer
  ) {
    if text.utf8CodeUnitCount == 0 { return }
    line.append(name)
    line.append(text)
    line.append(0x22)
  }
}
