public import Base

/// A worker's part of the access log: it formats, gathers and hands on, and never waits for a disk.
public struct AccessLogBuffer: ~Copyable {
  private let writer: AccessLogWriter
  private let isOn: Bool
  private var formatter = AccessLogFormatter()
  private var text: ByteBuffer
  private var lines = 0
  private var lastFlush: Instant

  public init(writer: AccessLogWriter, now: Instant) {
    self.writer = writer
    isOn = writer.destination != .off
    text = ByteBuffer(capacity: isOn ? AccessLogChunk.capacity : 0)
    lastFlush = now
  }

  /// Formats one entry; hands the buffer on if that made it full.
  public mutating func append(_ entry: borrowing AccessLogEntry) {
    guard isOn else { return }
    formatter.append(entry, to: &text)
    lines += 1
    if text.count >= AccessLogLimits.buffer { flush() }
  }

  /// Hands on what has waited long enough; the worker calls it about once a second.
  public mutating func flushIfDue(now: Instant) {
    guard now - lastFlush >= AccessLogLimits.delay else { return }
    lastFlush = now
    flush()
  }

  /// Hands on what there is, as before the worker ends.
  public mutating func flush() {
    guard lines > 0 else { return }
    writer.submit(&text, lines: lines)
    lines = 0
  }
}
