internal import EventLoop

/// A call's place in a server's queue; told by whoever frees a place, on whichever worker.
///
/// Unchecked: the call is touched on its own loop alone, where `grant` sends it word.
final class UpstreamWaiter: @unchecked Sendable {
  private let call: UpstreamCall
  private let mailbox: Mailbox
  let server: UpstreamServer

  init(_ call: UpstreamCall, _ mailbox: Mailbox, for server: UpstreamServer) {
    self.call = call
    self.mailbox = mailbox
    self.server = server
  }

  /// Gives the place to the call, or back where that wants it no more.
  func grant() {
    mailbox.post { [self] in
      if !call.granted(self) { server.freePlace() }
    }
  }
}
