public import Base
import CLinux

/// A value behind a lock that threads can also wait at until it changes.
///
/// For cold paths only: a worker's loop never waits here. The value is touched only while the lock
/// is held, which is what makes sharing it safe.
@safe
public final class Monitor<Value>: @unchecked Sendable {
  private let handle: OpaquePointer
  private var value: Value

  public init(_ value: sending Value) {
    guard let handle = unsafe linux_monitor_new() else {
      preconditionFailure("no memory for a lock")
    }
    unsafe self.handle = handle
    self.value = value
  }

  deinit {
    unsafe linux_monitor_free(handle)
  }

  /// Runs `body` with the value under the lock.
  public func with<Result, E: Error>(
    _ body: (inout Value) throws(E) -> Result
  ) throws(E) -> Result {
    unsafe linux_monitor_lock(handle)
    defer { unsafe linux_monitor_unlock(handle) }
    return try body(&value)
  }

  /// Wakes one waiting thread.
  public func signal() {
    unsafe linux_monitor_signal(handle)
  }

  /// Wakes every waiting thread.
  public func broadcast() {
    unsafe linux_monitor_broadcast(handle)
  }

  /// Waits until `body` gives a result, and looks again each time somebody signals.
  ///
  /// Gives nil when `deadline` has passed and the last look still gave none.
  public func wait<Result>(
    until deadline: Instant = .never, _ body: (inout Value) -> Result?
  ) -> Result? {
    unsafe linux_monitor_lock(handle)
    defer { unsafe linux_monitor_unlock(handle) }
    while true {
      if let result = body(&value) { return result }
      if deadline == .never {
        unsafe linux_monitor_wait(handle)
      } else if unsafe linux_monitor_wait_until(handle, deadline.nanoseconds) < 0 {
        return body(&value)
      }
    }
  }
}
