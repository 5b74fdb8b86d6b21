internal import Base

extension ByteBuffer {
  /// Appends an entry as an object of JSON on one line.
  mutating func append(json entry: borrowing AccessLogEntry, second: RawSpan) {
    append("{\"time\":\"" as StaticString)
    append(second)
    append(0x2e)
    append(entry.time.milliseconds, digits: 3)
    append("Z\"" as StaticString)
    member(",\"client\":\"", entry.client)
    member(",\"method\":\"", entry.method)
    member(",\"host\":\"", entry.host)
    member(",\"target\":\"", entry.target, limit: AccessLogLimits.target)
    member(",\"version\":\"", entry.version)
    member(",\"tls\":\"", entry.tls)
    member(",\"cipher\":\"", entry.cipher)
    member(",\"status\":", entry.status)
    member(",\"bytes\":", entry.bytesSent)
    member(",\"request_bytes\":", entry.bytesReceived)
    member(",\"duration\":", entry.duration)
    if let firstByte = entry.firstByte { member(",\"first_byte\":", firstByte) }
    member(",\"cache\":\"", entry.cache)
    member(",\"reason\":\"", entry.reason)
    member(",\"rule\":\"", entry.rule)
    member(",\"region\":\"", entry.region)
    member(",\"upstream\":\"", entry.upstream)
    if let time = entry.upstreamTime { member(",\"upstream_time\":", time) }
    member(",\"referer\":\"", entry.referer)
    member(",\"user_agent\":\"", entry.userAgent)
    member(",\"trace_id\":\"", entry.trace)
    if entry.isAborted { append(",\"aborted\":true" as StaticString) }
    if entry.sample > 1 { member(",\"sample\":", entry.sample) }
    append("}\n" as StaticString)
  }

  private mutating func member(_ name: StaticString, _ number: Int) {
    append(name)
    append(decimal: number)
  }

  /// Seconds with six digits behind the point; what is negative is 0.
  private mutating func member(_ name: StaticString, _ interval: Interval) {
    append(name)
    let microseconds = max(interval.nanoseconds, 0) / 1_000
    append(decimal: microseconds / 1_000_000)
    append(0x2e)
    append(Int(microseconds % 1_000_000), digits: 6)
  }

  private mutating func member(
    _ name: StaticString, _ bytes: RawSpan, limit: Int = AccessLogLimits.field
  ) {
    if bytes.isEmpty { return }
    append(name)
    append(jsonEscaping: bytes.extracting(0..<min(bytes.byteCount, limit)))
    append(0x22)
  }

  /// The text is a name of the program's own, which needs no escape.
  private mutating func member(_ name: StaticString, _ text: StaticString) {
    if text.utf8CodeUnitCount == 0 { return }
    append(name)
    append(text)
    append(0x22)
  }
}
