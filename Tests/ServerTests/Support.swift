import Base
import EventLoop
import HTTP
import HTTP1
import System
import Telemetry

@testable import Server

/// Offers a body in pieces, and then ends the answer or breaks it off.
final class Pump: Responder {
  private let stream: ClientStream
  private var rest: ArraySlice<UInt8>
  private let breaks: Bool
  private let piece: () -> Int
  /// In the place of the end, where that comes later.
  var atEnd: (() -> Void)?
  /// What each offer came to.
  private(set) var taken: [Int] = []
  private(set) var calls = 0
  private(set) var wasAborted = false
  private(set) var isOver = false

  init(_ stream: ClientStream, _ bytes: [UInt8], breaks: Bool, piece: @escaping () -> Int) {
    self.stream = stream
    rest = bytes[...]
    self.breaks = breaks
    self.piece = piece
  }

  override func writable() {
    calls += 1
    while !rest.isEmpty {
      let bytes = Array(rest.prefix(piece()))
      guard case .taken(let count) = stream.offer(bytes.rawBytes) else { return }
      taken.append(count)
      rest = rest.dropFirst(count)
      if count < bytes.count { return }
    }
    isOver = true
    if let atEnd { return atEnd() }
    if breaks { stream.abort() } else { stream.finish() }
  }

  override func aborted() { wasAborted = true }
}

/// Takes a request's body, and answers at its end, at once or all the while.
final class Sink: Responder {
  private let stream: ClientStream
  private let room: () -> Int
  private(set) var bytes: [UInt8] = []
  private(set) var hasEnded = false
  private(set) var fault: Fault?
  private(set) var wasAborted = false
  private let isDuplex: Bool

  init(_ stream: ClientStream, isDuplex: Bool, room: @escaping () -> Int) {
    self.stream = stream
    self.room = room
    self.isDuplex = isDuplex
  }

  override func bodyReadable() {
    while !hasEnded, fault == nil, stream.isOpen {
      let count = room()
      if count == 0 { return }
      var piece = [UInt8](repeating: 0, count: count)
      switch piece.withUnsafeMutableBytes({ stream.pullBody(into: $0) }) {
      case .bytes(let count):
        bytes += piece[..<count]
        if isDuplex { _ = stream.offer(piece[..<min(count, 10)].array.rawBytes) }
      case .pause: return
      case .end:
        hasEnded = true
        if isDuplex { stream.finish() } else { answer(200) }
      case .broken(let fault):
        self.fault = fault
        if stream.isOpen, !isDuplex {
          answer(fault.kind == .timeout ? 408 : 400)
        } else {
          stream.abort()
        }
      }
    }
  }

  private func answer(_ status: Int) {
    stream.begin(status: status)
    stream.endHead(.known(0))
    stream.finish()
  }

  override func aborted() { wasAborted = true }
}

extension ArraySlice<UInt8> {
  fileprivate var array: [UInt8] { Array(self) }
}

/// Answers by the path: `/{how}/{bytes}[/{length told}]`.
final class TinyHandler: RequestHandler {
  unowned var world: ServerWorld!
  private(set) var seen: [String] = []
  private(set) var refused: [Int] = []
  private(set) var held: [ClientStream] = []
  private(set) var pumps: [Pump] = []
  private(set) var taken: [Sink] = []
  /// How much room who takes a body has.
  var room: () -> Int = { 10_000 }
  var piece: () -> Int = { 10_000 }

  func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    let path = text.bytes(request.path).text
    seen.append(path)
    let parts = path.split(separator: "/").map(String.init)
    let count = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let told = parts.count > 2 ? Int(parts[2]) ?? count : count
    switch parts.first {
    case "now": answerNow(count, on: stream)
    case "pump": pump(count, .known(Int64(told)), on: stream)
    case "unknown": pump(count, .unknown, on: stream)
    case "tail":
      // Its end comes behind its last byte.
      pump(count, .unknown, on: stream) { [self] in
        world.network.after(.milliseconds(20)) { if stream.isOpen { stream.finish() } }
      }
    case "cut": pump(count, .unknown, breaks: true, on: stream)
    case "none": answer(.absent, status: 204, on: stream)
    case "later":
      world.network.after(.milliseconds(20)) { [self] in
        if stream.isOpen { answerNow(count, on: stream) }
      }
    case "take" where stream.requestBody != .absent: take(on: stream)
    case "take": answerNow(0, on: stream)
    case "duplex":
      stream.takeBody()
      stream.begin(status: 200)
      stream.endHead(.unknown)
      take(isDuplex: true, on: stream)
    case "early":
      stream.takeBody()
      world.network.after(.milliseconds(20)) { [self] in
        if stream.isOpen { answerNow(count, on: stream) }
      }
    case "fields": answerFields(on: stream)
    case "peer":
      stream.begin(status: 200)
      stream.endHead(.known(Int64(stream.peer.host.utf8.count)))
      stream.fill(Array(stream.peer.host.utf8).rawBytes)
      stream.finish()
    default: held.append(stream)
    }
  }

  private func take(isDuplex: Bool = false, on stream: ClientStream) {
    stream.takeBody()
    let sink = Sink(stream, isDuplex: isDuplex) { [self] in room() }
    taken.append(sink)
    stream.responder = sink
  }

  func refuse(_ refusal: Refusal, on stream: ClientStream) {
    refused.append(refusal.status)
    answer(.known(0), status: refusal.status, on: stream)
  }

  private func answer(_ length: BodyLength, status: Int, on stream: ClientStream) {
    stream.begin(status: status)
    stream.endHead(length)
    stream.finish()
  }

  func answerNow(_ count: Int, on stream: ClientStream) {
    stream.begin(status: 200)
    stream.endHead(.known(Int64(count)))
    let bytes = pattern(count)
    if stream.bodyDue > 0 {
      _ = stream.fill(count) { room in
        room.copyBytes(from: bytes)
        return count
      }
    }
    stream.finish()
  }

  private func answerFields(on stream: ClientStream) {
    stream.begin(status: 206)
    stream.field(.etag, Array("\"a\r\nInjected: \0y\u{7f}es\"".utf8).rawBytes)
    stream.contentRange(5..<10, total: 20)
    stream.field(.age, decimal: 12)
    stream.endHead(.known(0))
    stream.finish()
  }

  func pump(
    _ count: Int, _ length: BodyLength, breaks: Bool = false, on stream: ClientStream,
    atEnd: (() -> Void)? = nil
  ) {
    stream.begin(status: 200)
    stream.endHead(length)
    if stream.bodyDue == 0 {
      stream.finish()
      return
    }
    let pump = Pump(stream, pattern(count), breaks: breaks, piece: piece)
    pump.atEnd = atEnd
    pumps.append(pump)
    stream.responder = pump
    pump.writable()
  }
}

/// A worker and its clients on one simulated network.
final class ServerWorld {
  let network: SimulatedNetwork
  let handler = TinyHandler()
  let counters = CounterPage()
  let worker: ServerWorker
  /// All of them, the first being `worker`.
  let crew: [ServerWorker]
  let clientLoop: Loop
  static let address = SocketAddress(simulated: 1, port: 80)

  init(
    seed: UInt64, options: ServerOptions = ServerOptions(),
    weather: SimulatedNetwork.Weather = .init(), workers: Int = 1,
    traits: ListenerTraits = ListenerTraits()
  ) throws {
    network = SimulatedNetwork(seed: seed)
    network.weather = weather
    crew = (0..<workers).map { [network, handler, counters] number in
      ServerWorker(
        loop: Loop(in: network), options: options, handler: handler,
        counters: number == 0 ? counters : CounterPage())
    }
    worker = crew[0]
    clientLoop = Loop(in: network)
    handler.world = self
    if workers > 1 { ServerCrew(crew) }
    for worker in crew { try worker.listen(on: Self.address, traits) }
  }

  /// Runs until something holds; false where nothing more happens before.
  @discardableResult
  func run(until condition: () -> Bool) -> Bool {
    for _ in 0..<200_000 {
      if condition() { return true }
      if !network.step() { return condition() }
    }
    return false
  }

  /// Runs for so long.
  func run(for interval: Interval) {
    var isOver = false
    network.after(interval) { isOver = true }
    run { isOver }
  }

  /// Runs until nothing more will happen: all timeouts included.
  func settle() -> Bool {
    for _ in 0..<200_000 where !network.step() { return true }
    return false
  }

  func visit(_ text: String = "", _ prepare: (Visitor) -> Void = { _ in }) throws -> Visitor {
    let visitor = Visitor(self)
    visitor.toSend = Array(text.utf8)[...]
    prepare(visitor)
    try visitor.connect()
    return visitor
  }

  static func get(_ path: String, _ method: String = "GET", _ fields: String = "") -> String {
    "\(method) \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
  }
}

/// A client's bare connection.
final class Visitor: EventHandler {
  private unowned let world: ServerWorld
  private(set) var socket: Int32 = -1
  private var handle = Handle.none
  var toSend: ArraySlice<UInt8> = []
  var halfCloses = false
  var reads = true
  /// Closes when the server has ended.
  var closesAfterEnd = true
  private(set) var received: [UInt8] = []
  private(set) var sawEnd = false
  private(set) var failure: Int32?
  private(set) var isClosed = false
  private var isConnected = false

  init(_ world: ServerWorld) {
    self.world = world
  }

  var isOver: Bool { sawEnd || failure != nil }
  var text: String { String(decoding: received, as: UTF8.self) }

  func connect() throws {
    (socket, handle) = try world.clientLoop.connect(to: ServerWorld.address, self)
  }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    toSend += bytes
    write()
  }

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.writable) {
      isConnected = true
      write()
    }
    if reads { read() }
  }

  private func write() {
    guard isConnected else { return }
    while !isClosed, !toSend.isEmpty {
      let piece = Array(toSend.prefix(20_000))
      switch world.clientLoop.send(socket, piece.rawBytes) {
      case .bytes(let count):
        toSend = toSend.dropFirst(count)
        if count < piece.count { return }
      case .wouldBlock, .end: return
      case .broken: return
      }
    }
    if halfCloses && !isClosed {
      halfCloses = false
      world.clientLoop.shutdownWrite(socket)
    }
  }

  func read() {
    var room = [UInt8](repeating: 0, count: 8192)
    while !isClosed {
      switch room.withUnsafeMutableBytes({ world.clientLoop.receive(socket, into: $0) }) {
      case .bytes(let count): received += room[..<count]
      case .wouldBlock: return
      case .end:
        sawEnd = true
        if closesAfterEnd { close() }
        return
      case .broken(let error):
        failure = error
        close()
      }
    }
  }

  func close() {
    if isClosed { return }
    isClosed = true
    world.clientLoop.close(socket, handle)
  }
}

/// An answer as it stands in what a client received.
struct Received: Equatable {
  var status = 0
  var fields: [String: String] = [:]
  var body: [UInt8] = []
  /// Whether the end is where the head or the chunks say.
  var isComplete = false

  /// Reads answers one after the other; `heads` tells for each whether it answers a HEAD request.
  static func all(_ bytes: [UInt8], heads: [Bool] = []) -> [Received] {
    var rest = bytes[...]
    var answers: [Received] = []
    while !rest.isEmpty {
      let isHead = answers.count < heads.count && heads[answers.count]
      var answer = Received()
      guard let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) else { return answers + [answer] }
      let lines = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
        .split(separator: "\r\n")
      answer.status = Int(lines[0].split(separator: " ")[1]) ?? 0
      for line in lines.dropFirst() {
        let parts = line.split(separator: ":", maxSplits: 1)
        answer.fields[parts[0].lowercased()] = parts[1].drop { $0 == " " }.description
      }
      rest = rest[end.upperBound...]
      answer.takeBody(&rest, isHead: isHead)
      answers.append(answer)
      if !answer.isComplete { return answers }
    }
    return answers
  }

  private mutating func takeBody(_ rest: inout ArraySlice<UInt8>, isHead: Bool) {
    if isHead || status == 204 || status == 304 {
      isComplete = true
    } else if fields["transfer-encoding"] == "chunked" {
      takeChunks(&rest)
    } else if let length = fields["content-length"].flatMap(Int.init) {
      body = Array(rest.prefix(length))
      isComplete = body.count == length
      rest = rest.dropFirst(length)
    } else {
      body = Array(rest)
      rest = []
    }
  }

  private mutating func takeChunks(_ rest: inout ArraySlice<UInt8>) {
    while let line = rest.firstRange(of: [13, 10]) {
      guard let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16)
      else { return }
      let chunk = rest[line.upperBound...].prefix(size)
      body += chunk
      rest = rest[line.upperBound...].dropFirst(size)
      guard chunk.count == size, rest.starts(with: [13, 10]) else { return }
      rest = rest.dropFirst(2)
      if size == 0 {
        isComplete = true
        return
      }
    }
  }
}

func pattern(_ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}
