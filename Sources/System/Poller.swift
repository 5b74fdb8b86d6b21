public import Base
internal import CLinux

/// What a socket is ready for.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  public static let readable = Readiness(rawValue: 1)
  public static let writable = Readiness(rawValue: 2)
  /// The connection has ended in both directions, or broke.
  public static let hungUp = Readiness(rawValue: 4)
  /// The peer has ended its side; bytes may still wait before that end.
  public static let ended = Readiness(rawValue: 8)
}

/// One epoll instance.
///
/// Connections are watched edge-triggered, once for their life.
public struct Poller: ~Copyable {
  private let descriptor: Int32
  private var events: [linux_event]

  public init() throws(Fault) {
    descriptor = linux_epoll_create()
    events = []
    guard descriptor >= 0 else { throw Fault(.exhausted, .own, errno: -descriptor) }
    events = Array(repeating: linux_event(), count: 256)
  }

  deinit {
    if descriptor >= 0 { _ = linux_socket_close(descriptor) }
  }

  /// Watches for every change; `handle` comes back with each event.
  public func watch(_ socket: Int32, handle: Handle) throws(Fault) {
    let outcome = linux_epoll_add(descriptor, socket, handle.bits)
    guard outcome >= 0 else { throw Fault(.exhausted, .own, errno: -outcome) }
  }

  /// Watches a listener or a wake-up: told for as long as there is something to read.
  public func watchLevel(_ socket: Int32, handle: Handle) throws(Fault) {
    let outcome = linux_epoll_add_level(descriptor, socket, handle.bits)
    guard outcome >= 0 else { throw Fault(.exhausted, .own, errno: -outcome) }
  }

  /// Watches a socket no more.
  public func unwatch(_ socket: Int32) { _ = linux_epoll_remove(descriptor, socket) }

  /// Stops or resumes a level watch.
  public func pause(_ socket: Int32, handle: Handle, _ paused: Bool) {
    _ = linux_epoll_pause(descriptor, socket, handle.bits, paused)
  }

  /// Waits for at most so many milliseconds; the number of events, which `event(_:)` then gives.
  public mutating func wait(milliseconds: Int32) -> Int {
    let room = Int32(events.count)
    return Int(max(0, unsafe linux_epoll_wait(descriptor, &events, room, milliseconds)))
  }

  @inline(__always)
  public func event(_ index: Int) -> (Handle, Readiness) {
    let event = events[index]
    return (Handle(bits: event.data), Readiness(rawValue: event.readiness))
  }
}

/// A descriptor that another thread can make readable to end a wait.
public final class WakeUp: Sendable {
  public let descriptor: Int32

  public init() throws(Fault) {
    descriptor = linux_eventfd()
    guard descriptor >= 0 else { throw Fault(.exhausted, .own, errno: -descriptor) }
  }

  deinit {
    if descriptor >= 0 { _ = linux_socket_close(descriptor) }
  }

  public func raise() { linux_eventfd_raise(descriptor) }
  public func clear() { linux_eventfd_clear(descriptor) }
}
