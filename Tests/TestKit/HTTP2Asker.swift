import Foundation

/// A client of HTTP/2 on a socket.
public final class HTTP2Asker {
  public let client: HTTP2Client
  private let socket: Int32
  private var waiting: [UInt8] = []
  /// Whether the server has closed.
  public private(set) var isOver = false

  public init(port: UInt16, _ client: HTTP2Client = HTTP2Client()) throws {
    self.client = client
    socket = try Sockets.make()
    try Sockets.connect(socket, to: port)
    _ = fcntl(socket, F_SETFL, O_NONBLOCK)
  }

  deinit { Foundation.close(socket) }

  /// Sends and receives until something holds; false where it does not in time.
  @discardableResult
  public func run(seconds: Double = 60, until condition: () -> Bool) -> Bool {
    let deadline = Deadline(seconds: seconds)
    var room = [UInt8](repeating: 0, count: 256 << 10)
    while !condition() {
      if isOver { return false }
      waiting += client.take()
      if !waiting.isEmpty {
        let sent = Foundation.send(socket, waiting, waiting.count, Int32(MSG_NOSIGNAL))
        if sent > 0 { waiting.removeFirst(sent) }
      }
      let events = waiting.isEmpty ? POLLIN : POLLIN | POLLOUT
      guard Sockets.wait(socket, for: events, until: deadline) else { return condition() }
      let count = recv(socket, &room, room.count, 0)
      if count > 0 {
        client.receive(Array(room[..<count]))
      } else if count == 0 || errno != EAGAIN {
        isOver = true
      }
    }
    return true
  }
}
