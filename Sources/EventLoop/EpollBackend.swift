internal import Base
internal import System

/// The kernel's readiness, by epoll.
final class EpollBackend {
  /// The mailbox's wake-up: no slab gives generation 0.
  static let mailboxHandle = Handle(index: 0, generation: 0)

  let mailbox: Mailbox
  private var poller: Poller

  init() throws(Fault) {
    poller = try Poller()
    mailbox = Mailbox(waking: try WakeUp())
    try poller.watchLevel(mailbox.descriptor, handle: Self.mailboxHandle)
  }

  func wait(_ interval: Interval) -> Int {
    // Rounded up: a wait that ends just before a deadline would spin.
    let milliseconds = interval <= .zero ? 0 : interval.nanoseconds / 1_000_000 + 1
    return poller.wait(milliseconds: Int32(clamping: milliseconds))
  }

  @inline(__always)
  func event(_ index: Int) -> (Handle, Readiness) { poller.event(index) }

  func watch(_ socket: Int32, _ handle: Handle) throws(Fault) {
    try poller.watch(socket, handle: handle)
  }

  func watchLevel(_ socket: Int32, _ handle: Handle) throws(Fault) {
    try poller.watchLevel(socket, handle: handle)
  }

  func unwatch(_ socket: Int32) { poller.unwatch(socket) }

  func pause(_ socket: Int32, _ handle: Handle, _ paused: Bool) {
    poller.pause(socket, handle: handle, paused)
  }
}
