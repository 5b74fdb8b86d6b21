import Base
import EventLoop
import System
import TestKit

/// A client of HTTP/2 on the simulated network.
final class HTTP2Visitor: EventHandler {
  private let loop: Loop
  private var socket: Int32 = -1
  private var handle = Handle.none
  private var waiting: [UInt8] = []
  private var isConnected = false
  let client: HTTP2Client
  private(set) var isOver = false
  /// Reads nothing while false, so that the server's socket fills.
  var reads = true

  init(_ world: ServerWorld, _ client: HTTP2Client = HTTP2Client()) throws {
    loop = world.clientLoop
    self.client = client
    super.init()
    (socket, handle) = try loop.connect(to: ServerWorld.address, self)
  }

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.writable) { isConnected = true }
    go()
  }

  /// Sends what the client has to say, and reads what has come.
  func go() {
    guard isConnected, !isOver else { return }
    if reads { read() }
    waiting += client.take()
    while !waiting.isEmpty {
      let piece = waiting
      guard case .bytes(let count) = loop.send(socket, piece.rawBytes), count > 0 else { return }
      waiting.removeFirst(count)
    }
  }

  /// Sends bytes that no client of nghttp2 would.
  func send(_ bytes: [UInt8]) {
    waiting += bytes
    go()
  }

  func read() {
    var room = [UInt8](repeating: 0, count: 20_000)
    while !isOver {
      switch room.withUnsafeMutableBytes({ loop.receive(socket, into: $0) }) {
      case .bytes(let count): client.receive(Array(room[..<count]))
      case .wouldBlock: return
      case .end, .broken: close()
      }
    }
  }

  func close() {
    guard !isOver else { return }
    isOver = true
    loop.close(socket, handle)
  }
}
