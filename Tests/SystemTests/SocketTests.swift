import Base
import System
import Testing

@Suite struct SocketTests {
  /// What the peer's system has not taken counts, and nothing else does.
  @Test func tellsWhatIsUnderWay() throws {
    let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
    let listener = try SocketCalls.listen(on: address, reusePort: false)
    defer { SocketCalls.close(listener) }
    let sender = try SocketCalls.connect(to: SocketCalls.localAddress(listener))
    defer { SocketCalls.close(sender) }
    var taken: Int32?
    while taken == nil {
      if case .success(let (socket, _)) = SocketCalls.accept(listener) { taken = socket }
    }
    let reader = try #require(taken)
    defer { SocketCalls.close(reader) }
    #expect(SocketCalls.unacknowledged(sender) == 0)
    let piece = [UInt8](repeating: 7, count: 64 << 10)
    var sent = 0
    while case .bytes(let count) = SocketCalls.send(sender, piece.rawBytes, more: false) {
      sent += count
    }
    // Nobody reads: the reader's room is full, and the rest waits here.
    let waiting = SocketCalls.unacknowledged(sender)
    #expect(waiting > 0 && waiting <= sent)
    var room = [UInt8](repeating: 0, count: 64 << 10)
    var received = 0
    while received < sent {
      let result = room.withUnsafeMutableBytes {
        SocketCalls.receive(reader, into: UnsafeMutableRawBufferPointer($0))
      }
      if case .bytes(let count) = result { received += count }
    }
    // The last acknowledgement may be a moment in coming.
    while SocketCalls.unacknowledged(sender) > 0 {}
    #expect(SocketCalls.unacknowledged(-1) == 0)
  }
}
