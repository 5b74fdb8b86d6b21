public import Base
import CLinux

/// A running thread that its owner joins.
@safe
public struct Thread: ~Copyable, Sendable {
  private nonisolated(unsafe) let handle: OpaquePointer

  /// Starts a thread.
  ///
  /// `name` shows in ps and top, cut to 15 bytes; `core` binds it to one core. Throws where the
  /// system gives no thread (EAGAIN) or the core does not exist (EINVAL).
  public init(
    name: String, core: Int? = nil, _ body: @escaping @Sendable () -> Void
  ) throws(Fault) {
    let box = unsafe Unmanaged.passRetained(Body(run: body))
    var started: OpaquePointer?
    let result = unsafe linux_thread_start(
      &started, name, Int32(clamping: core ?? -1),
      { context in
        guard let context = unsafe context else { return }
        unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
      }, box.toOpaque())
    guard result >= 0, let thread = unsafe started else {
      unsafe box.release()
      throw Fault(.exhausted, .own, errno: Int32(truncatingIfNeeded: -result))
    }
    unsafe handle = thread
  }

  deinit {
    // A thread nobody joined is joined here: its memory is the handle's.
    unsafe linux_thread_join(handle)
  }

  /// Waits for the thread's end.
  public consuming func join() {}

  /// Lets another thread that wants this core have it, where long work may be divided.
  public static func offerCore() { linux_offer_core() }

  private final class Body: Sendable {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) {
      self.run = run
    }
  }
}
