internal import Base

extension ByteBuffer {
  /// Appends an entry as nginx's `combined` has it:
  /// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
  /// "$http_user_agent"`.
  ///
  /// There are no users here, and local time is UTC. A request that was not understood is `-`, as what is
  /// not there always is.
  mutating func append(combined entry: borrowing AccessLogEntry, second: RawSpan) {
    variable(entry.client)
    append(" - - [" as StaticString)
    append(second)
    append("] \"" as StaticString)
    if entry.target.isEmpty {
      append(0x2d)
    } else {
      append(logEscaping: entry.method)
      append(0x20)
      let count = min(entry.target.byteCount, AccessLogLimits.target)
      append(logEscaping: entry.target.extracting(0..<count))
      append(0x20)
      append(entry.version)
    }
    append("\" " as StaticString)
    append(decimal: entry.status)
    append(0x20)
    append(decimal: entry.bytesSent)
    append(" \"" as StaticString)
    variable(entry.referer)
    append("\" \"" as StaticString)
    variable(entry.userAgent)
    append("\"\n" as StaticString)
  }

  private mutating func variable(_ bytes: RawSpan) {
    if bytes.isEmpty {
      append(0x2d)
    } else {
      append(logEscaping: bytes.extracting(0..<min(bytes.byteCount, AccessLogLimits.field)))
    }
  }

  /// Appends bytes as nginx's log does by default: quotation mark, backslash and all that is not printable
  /// ASCII become `\xHH`, with digits in upper case.
  mutating func append(logEscaping bytes: RawSpan) {
    var start = 0
    for offset in 0..<bytes.byteCount {
      let byte = bytes.byte(offset)
      guard byte < 0x20 || byte > 0x7e || byte == 0x22 || byte == 0x5c else { continue }
      append(bytes.extracting(start..<offset))
      append("\\x" as StaticString)
      append(upperHexDigit(byte >> 4))
      append(upperHexDigit(byte & 0x0f))
      start = offset + 1
    }
    append(bytes.extracting(start..<bytes.byteCount))
  }

  private func upperHexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x37 + value
  }
}
