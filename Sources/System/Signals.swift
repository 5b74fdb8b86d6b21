public import Base
internal import CLinux

/// The signals of orderly stop and reopening, read as a queue instead of interrupting.
public struct Signals: ~Copyable {
  public enum Signal: Sendable { case stop, reload, reopen }

  private let descriptor: Int32

  /// Blocks the signals in this thread and in all it starts later: to be made first.
  public init() throws(Fault) {
    descriptor = linux_signal_descriptor()
    guard descriptor >= 0 else { throw Fault(.exhausted, .own, errno: -descriptor) }
  }

  deinit {
    if descriptor >= 0 { _ = linux_socket_close(descriptor) }
  }

  /// Waits for the next signal; nil where `wakeUp` was raised first.
  public func next(unless wakeUp: WakeUp? = nil) -> Signal? {
    while true {
      switch linux_signal_next(descriptor, wakeUp?.descriptor ?? -1) {
      case 2, 15: return .stop
      case 1: return .reload
      case 10: return .reopen
      case 0 where wakeUp != nil: return nil
      default: continue
      }
    }
  }
}

/// Settings of the process as a whole.
public enum ProcessLimits {
  /// A broken connection must not end the process.
  public static func ignoreBrokenPipes() { linux_ignore_sigpipe() }

  /// The cores that this process may use.
  public static var cores: Int { max(1, Int(linux_cores())) }

  /// Bytes of the machine's memory.
  public static var memory: Int { Int(linux_memory_bytes()) }

  /// Raises the limit of open descriptors as far as allowed; the limit in force.
  public static func raiseDescriptors() -> Int { Int(linux_raise_descriptor_limit()) }
}
