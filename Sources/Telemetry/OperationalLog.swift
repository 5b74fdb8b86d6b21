public import Base
public import Logging
import System

/// The log of what happens to the program itself: one line for each event, for people and `grep`.
///
/// `2026-01-02T03:04:05.678Z info message key=value …`. Messages are fixed sentences; what varies is
/// metadata, sorted by key. Bytes that could break a line or steer a terminal are escaped.
public struct OperationalLog: LogHandler {
  public var logLevel: Logger.Level
  public var metadata: Logger.Metadata = [:]
  public var metadataProvider: Logger.MetadataProvider?
  private let clock: @Sendable () -> WallTime
  private let sink: @Sendable (RawSpan) -> Void

  /// A handler that asks `clock` for the time of each event and gives whole lines to `sink`.
  public init(
    level: Logger.Level, clock: @escaping @Sendable () -> WallTime,
    sink: @escaping @Sendable (RawSpan) -> Void
  ) {
    logLevel = level
    self.clock = clock
    self.sink = sink
  }

  /// A logger that writes to the standard error.
  ///
  /// Throws where that is closed. A line that cannot be written is lost: there is nobody to tell.
  public static func logger(
    level: Logger.Level, clock: @escaping @Sendable () -> WallTime
  ) throws(Fault) -> Logger {
    let stream = StandardError(file: try .standardError())
    let handler = OperationalLog(level: level, clock: clock) { line in
      try? stream.file.write(line)
    }
    return Logger(label: "sluice", factory: { _ in handler })
  }

  private final class StandardError: Sendable {
    let file: LogFile

    init(file: consuming LogFile) {
      self.file = file
    }
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let time = clock()
    var line = ByteBuffer(capacity: 256)
    line.append(utc: time.seconds)
    line.append(0x2e)
    line.append(time.milliseconds, digits: 3)
    line.append("Z ")
    line.append(event.level.rawValue)
    line.append(0x20)
    line.append(jsonEscaping: Array(event.message.description.utf8).rawBytes)

    var values = metadataProvider?.get() ?? [:]
    values.merge(metadata) { _, nearer in nearer }
    values.merge(event.metadata ?? [:]) { _, nearer in nearer }
    if let error = event.error { values["error"] = "\(error)" }
    for (key, value) in values.sorted(by: { $0.key < $1.key }) {
      line.append(0x20)
      Self.append(key, to: &line)
      line.append(0x3d)
      Self.append(value.description, to: &line)
    }
    line.append(0x0a)
    sink(line.readable)
  }

  /// Appends a word as it is, and anything else between quotation marks.
  private static func append(_ text: String, to line: inout ByteBuffer) {
    let bytes = Array(text.utf8)
    let isWord = bytes.allSatisfy { byte in
      byte > 0x20 && byte < 0x7f && byte != 0x22 && byte != 0x3d && byte != 0x5c
    }
    if isWord && !bytes.isEmpty {
      line.append(bytes)
    } else {
      line.append(0x22)
      line.append(jsonEscaping: bytes.rawBytes)
      line.append(0x22)
    }
  }
}
