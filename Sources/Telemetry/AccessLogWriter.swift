public import Base
public import Logging
import Synchronization
public import System

/// Where the access log goes.
public enum AccessLogDestination: Equatable, Sendable {
  case off
  case standardOutput
  case file(path: String)

  /// From a setting: nothing or an empty text is off, `-` the standard output, else a path.
  public init(path: String?) {
    switch path {
    case nil, "": self = .off
    case "-": self = .standardOutput
    case .some(let path): self = .file(path: path)
    }
  }
}

/// A full buffer on its way to the writer and, empty, back; whoever took it from the queue owns it.
final class AccessLogChunk: @unchecked Sendable {
  /// A buffer is handed on as soon as it is full, so one line beyond that is all it must hold.
  static let capacity = AccessLogLimits.buffer + AccessLogLimits.line

  var bytes = ByteBuffer(capacity: AccessLogChunk.capacity)
  var lines = 0
}

/// The one thread that writes the access log, and the bounded queue to it.
///
/// Workers exchange a full buffer for an empty one under a lock that is never held during a write.
/// When the queue is full or the disk refuses, lines are dropped and counted.
public final class AccessLogWriter: Sendable {
  public let destination: AccessLogDestination
  public let options: AccessLogOptions
  private let log: Logger
  private let state = Monitor(State())
  private let dropped = Atomic<Int>(0)

  private struct State {
    var waiting: [AccessLogChunk] = []
    var free: [AccessLogChunk] = []
    var mustReopen = false
    var isStopping = false
  }

  private enum Work {
    case write(AccessLogChunk)
    case reopen
    case end
  }

  /// `log` gets a line when writing begins to fail or a file cannot be opened again.
  public init(
    _ destination: AccessLogDestination, _ options: AccessLogOptions = AccessLogOptions(),
    log: Logger
  ) {
    self.destination = destination
    self.options = options
    self.log = log
  }

  /// Opens the destination and starts the thread; `stop` ends it, and its owner joins it.
  ///
  /// Throws where the file cannot be opened or the system gives no thread.
  public func start() throws(Fault) -> Thread {
    // A closure that may be kept cannot own a file, but it can carry its number.
    let descriptor = try open()?.release()
    do {
      return try Thread(name: "access-log") { [self] in
        run(descriptor.map { LogFile(owning: $0) })
      }
    } catch {
      if let descriptor { _ = LogFile(owning: descriptor) }
      throw error
    }
  }

  /// Asks the thread to write what waits and then to end; what is handed on later is dropped.
  public func stop() {
    state.with { $0.isStopping = true }
    state.signal()
  }

  /// Asks the thread to open the file anew, after something else has renamed it.
  public func reopen() {
    state.with { $0.mustReopen = true }
    state.signal()
  }

  /// Lines that were not written, because the queue was full or the write failed.
  public var droppedLines: Int { dropped.load(ordering: .relaxed) }

  /// What of this belongs on the metrics page.
  public var metrics: [MetricValue] {
    [
      MetricValue(
        "sluice_access_log_lines_dropped_total", .counter,
        help: "Lines of the access log that were not written.", .integer(droppedLines))
    ]
  }

  /// Takes the text and gives an empty buffer back, or drops the text where the queue is full.
  func submit(_ text: inout ByteBuffer, lines: Int) {
    let isTaken = state.with { state in
      guard !state.isStopping, state.waiting.count < AccessLogLimits.waitingBuffers else {
        return false
      }
      let chunk = state.free.popLast() ?? AccessLogChunk()
      swap(&chunk.bytes, &text)
      chunk.lines = lines
      state.waiting.append(chunk)
      return true
    }
    if isTaken {
      state.signal()
    } else {
      text.clear()
      dropped.wrappingAdd(lines, ordering: .relaxed)
    }
  }

  // MARK: - The thread's

  private func open() throws(Fault) -> LogFile? {
    switch destination {
    case .off: nil
    case .standardOutput: try .standardOutput()
    case .file(let path): try LogFile(appendingTo: path)
    }
  }

  private func run(_ opened: consuming LogFile?) {
    var file = opened
    var isFailing = false
    // Whether the file may end within a line.
    var hasPart = false
    // Whether the file has no name even when it was just opened by one, as on some file systems: then it says
    // nothing that it has none.
    var isNeverNamed = false
    while true {
      switch next() {
      case .end: return
      case .reopen:
        do throws(Fault) {
          file = try open()
          hasPart = false
          isNeverNamed = false
        } catch {
          // The old file stays in use: lines under an old name are better than none.
          log.error(
            "access log not reopened", metadata: ["error": "\(SystemError.text(error.errno))"])
        }
      case .write(let chunk):
        var errno: Int32 = 0
        // A file without a name is one that nobody will ever read.
        if !isNeverNamed && isUnlinked(file) {
          do throws(Fault) {
            file = try open()
            hasPart = false
            isNeverNamed = isUnlinked(file)
          } catch {
            errno = error.errno
          }
        }
        if errno == 0 { errno = write(chunk.bytes, to: file, &hasPart) }
        if errno != 0 { dropped.wrappingAdd(chunk.lines, ordering: .relaxed) }
        if errno != 0 && !isFailing {
          log.error("access log not written", metadata: ["error": "\(SystemError.text(errno))"])
        }
        isFailing = errno != 0
        chunk.bytes.clear()
        state.with { $0.free.append(chunk) }
      }
    }
  }

  private func isUnlinked(_ file: borrowing LogFile?) -> Bool {
    guard case .file = destination else { return false }
    switch file {
    case .none: return false
    case .some(let file): return file.isUnlinked
    }
  }

  private func next() -> Work {
    let work: Work? = state.wait { state in
      if state.mustReopen {
        state.mustReopen = false
        return .reopen
      }
      if !state.waiting.isEmpty { return .write(state.waiting.removeFirst()) }
      return state.isStopping ? .end : nil
    }
    return work ?? .end
  }

  /// Gives the system's error number, or 0.
  ///
  /// - Parameter hasPart: Whether what failed before has left a part of a line behind, which is ended first.
  private func write(
    _ bytes: borrowing ByteBuffer, to file: borrowing LogFile?, _ hasPart: inout Bool
  ) -> Int32 {
    switch file {
    case .none: return 0
    case .some(let file):
      let newline: UInt8 = 0x0a
      if hasPart {
        let ending = file.writeAsMuchAsGoes([newline].rawBytes)
        if ending.errno != 0 { return ending.errno }
        hasPart = false
      }
      let written = file.writeAsMuchAsGoes(bytes.readable)
      if written.count > 0 { hasPart = bytes.readable.byte(written.count - 1) != newline }
      return written.errno
    }
  }
}
