public import Base

/// A worker's part of the access log: it formats, gathers and hands on, and never waits for a disk.
public struct AccessLogBuffer: ~Copyable {
  private let writer: AccessLogWriter
  private let isOn: Bool
  private var formatter: AccessLogFormatter
  private var sampling: AccessLogSampling
  private var text: ByteBuffer
  private var lines = 0
  private var lastFlush: Instant

  /// - Parameter seed: What the choice of samples begins from.
  public init(writer: AccessLogWriter, seed: UInt64 = 0, now: Instant) {
    self.writer = writer
    formatter = AccessLogFormatter(writer.options.format)
    sampling = AccessLogSampling(oneOf: writer.options.sample, seed: seed)
    isOn = writer.destination != .off
    text = ByteBuffer(capacity: isOn ? AccessLogChunk.capacity : 0)
    lastFlush = now
  }

  /// Whether addresses are to lose their last part.
  public var shortensAddresses: Bool { writer.options.shortensAddresses }

  /// For how many requests like this one the next line stands; nil where it is not to be logged.
  ///
  /// - Parameter isOrdinary: Whether nobody would look for it: a hit that went well.
  public mutating func sample(isOrdinary: Bool) -> Int? {
    guard isOn else { return nil }
    guard isOrdinary else { return 1 }
    return sampling.takes() ? sampling.oneOf : nil
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
