import Base
import EventLoop
import IPFS
import Server
import System
import Telemetry
import Testing

@testable import Origin

/// Sends bytes on a new connection and gathers what comes back until the peer ends it.
private final class Client: EventHandler {
  let loop: Loop
  var toSend: [UInt8]
  var received: [UInt8] = []
  var isDone = false
  var reads = true
  private var socket: Int32 = -1
  private var handle = Handle.none

  init(_ loop: Loop, _ text: String) {
    self.loop = loop
    toSend = Array(text.utf8)
  }

  func connect(to address: SocketAddress) throws {
    (socket, handle) = try loop.connect(to: address, self)
  }

  override func ready(_ readiness: Readiness) {
    if isDone { return }
    while !toSend.isEmpty, case .bytes(let count) = loop.send(socket, toSend.rawBytes) {
      toSend.removeFirst(count)
    }
    while reads {
      var room = [UInt8](repeating: 0, count: 4096)
      let result = room.withUnsafeMutableBytes { loop.receive(socket, into: $0) }
      switch result {
      case .bytes(let count): received += room[..<count]
      case .wouldBlock: return
      case .end, .broken:
        isDone = true
        loop.close(socket, handle)
        return
      }
    }
  }
}

struct OriginHandlerTests {
  /// The answer to a request through a simulated network with short reads and writes.
  private func exchange(_ store: CARStore, seed: UInt64, _ text: String) throws -> [UInt8] {
    let network = SimulatedNetwork(seed: seed)
    let loop = Loop(in: network)
    let worker = ServerWorker(
      loop: loop, options: ServerOptions(), handler: OriginHandler(store, loop: loop),
      counters: CounterPage())
    let address = SocketAddress(simulated: 1, port: 80)
    try worker.listen(on: address)
    let client = Client(Loop(in: network), text)
    try client.connect(to: address)
    var steps = 0
    while !client.isDone, steps < 200_000, network.step() { steps += 1 }
    #expect(client.isDone)
    #expect(worker.connectionCount == 0 || network.step())
    return client.received
  }

  private func split(_ answer: [UInt8]) throws -> (head: String, body: [UInt8]) {
    let mark = Array("\r\n\r\n".utf8)
    let end = try #require(
      answer.indices.first { answer[$0...].starts(with: mark) })
    return (String(decoding: answer[..<end], as: UTF8.self), Array(answer[(end + 4)...]))
  }

  /// The bytes in a chunked body; nil where it is not whole.
  private func unchunked(_ body: [UInt8]) -> [UInt8]? {
    var rest = body[...]
    var bytes: [UInt8] = []
    while let cr = rest.firstIndex(of: 13) {
      guard let count = Int(String(decoding: rest[..<cr], as: UTF8.self), radix: 16) else {
        return nil
      }
      rest = rest[(cr + 2)...]
      if count == 0 { return rest.elementsEqual([13, 10]) ? bytes : nil }
      guard rest.count >= count + 2 else { return nil }
      bytes += rest.prefix(count)
      rest = rest.dropFirst(count + 2)
    }
    return nil
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func filesArriveWhole(seed: UInt64) throws {
    let site = try Site()
    let answer = try split(
      exchange(
        site.store, seed: seed,
        "GET /ipfs/\(site.root.cid)/long.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    #expect(answer.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(answer.head.contains("\r\nContent-Length: 3333\r\n"))
    #expect(answer.body == site.longBytes)
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func carsArriveWhole(seed: UInt64) throws {
    let site = try Site()
    let expected = try site.get("/ipfs/\(site.root.cid)?format=car").bytes()
    let target = "/ipfs/\(site.root.cid)?format=car"
    let chunked = try split(
      exchange(
        site.store, seed: seed,
        "GET \(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    #expect(chunked.head.contains("\r\nTransfer-Encoding: chunked\r\n"))
    #expect(unchunked(chunked.body) == expected)
    let plain = try split(exchange(site.store, seed: seed, "GET \(target) HTTP/1.0\r\n\r\n"))
    #expect(plain.body == expected)
  }

  @Test func headsAreThoseOfGet() throws {
    let site = try Site()
    for target in ["hello.txt", "hello.txt?format=car", "", "none", "a%20b"] {
      func head(_ method: String) throws -> (head: String, body: [UInt8]) {
        try split(
          exchange(
            site.store, seed: 3,
            "\(method) /ipfs/\(site.root.cid)/\(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
          ))
      }
      let bare = try head("HEAD")
      #expect(bare.body.isEmpty)
      // What tells the body's length is told where it is known beforehand: not of lists and archives.
      let isMade = target.isEmpty || target.contains("car")
      let lines = { (text: String) in
        text.split(separator: "\r\n").filter { line in
          let isLength = line.hasPrefix("Content-Length") || line.hasPrefix("Transfer-Encoding")
          return !line.hasPrefix("Date") && !(isMade && isLength)
        }
      }
      #expect(try lines(bare.head) == lines(head("GET").head))
      #expect(isMade != bare.head.contains("\r\nContent-Length:"))
    }
  }

  @Test func pipelinedRequestsAreAnsweredInOrder() throws {
    let site = try Site()
    let one = "GET /ipfs/\(site.hello.cid) HTTP/1.1\r\nHost: a\r\n\r\n"
    let last = "GET /ipfs/\(site.hello.cid) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    let answer = try exchange(site.store, seed: 5, one + one + last)
    let text = String(decoding: answer, as: UTF8.self)
    #expect(text.ranges(of: "hello world\n").count == 3)
  }

  /// Who asks and never reads is let go after the time for sending, even if the answer blocked at once.
  @Test func clientsThatNeverReadAreLetGo() throws {
    let network = SimulatedNetwork(seed: 9)
    network.weather.shortTransfers = 0
    let loop = Loop(in: network)
    let worker = ServerWorker(
      loop: loop, options: ServerOptions(),
      handler: OriginHandler(try CARStore(car: SampleSite().car), loop: loop),
      counters: CounterPage())
    let address = SocketAddress(simulated: 1, port: 80)
    try worker.listen(on: address)
    let root = try SampleSite().root
    let client = Client(
      Loop(in: network), "GET /ipfs/\(root)/large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
    client.reads = false
    try client.connect(to: address)
    var wasConnected = false
    while network.now.nanoseconds < 200_000_000_000, network.step() {
      wasConnected = wasConnected || worker.connectionCount == 1
    }
    #expect(wasConnected)
    #expect(worker.connectionCount == 0)
    #expect(worker.counters.value(.timeoutClientSend) == 1)
  }

  /// A block that turns out wrong in the middle of a body breaks the connection.
  @Test func damageInTheMiddleIsSeen() throws {
    let site = try Site()
    var car = site.builder.car(roots: [site.root.cid])
    let part = site.longBytes[2_000..<2_020]
    let start = try #require(car.indices.first { car[$0...].starts(with: part) })
    car[start] ^= 1
    let answer = try split(
      exchange(
        CARStore(car: car), seed: 2,
        "GET /ipfs/\(site.long.cid) HTTP/1.1\r\nHost: a\r\n\r\n"))
    #expect(answer.head.hasPrefix("HTTP/1.1 200"))
    #expect(answer.body == Array(site.longBytes[..<2_000]))
  }
}
