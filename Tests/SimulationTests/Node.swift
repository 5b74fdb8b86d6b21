import Base
import EventLoop
import HTTP
import HTTP1
import System

/// An upstream: answers as a Kubo gateway does, or badly, as its seed says.
final class Node: EventHandler {
  unowned let world: World
  let number: Int
  let address: SocketAddress
  var random: SeededRandom
  private var socket: Int32 = -1
  private var handle = Handle.none
  private var connections: [NodeConnection] = []

  init(_ world: World, _ number: Int, _ address: SocketAddress, seed: UInt64) {
    self.world = world
    self.number = number
    self.address = address
    random = SeededRandom(seed: seed)
    super.init()
    open()
  }

  func open() {
    guard socket < 0 else { return }
    guard let opened = try? world.nodeLoop.listen(on: address, self) else { return }
    (socket, handle) = opened
  }

  /// Refuses connections until `open`.
  func close() {
    guard socket >= 0 else { return }
    world.nodeLoop.close(socket, handle)
    socket = -1
  }

  /// Ends every connection, as a node that is stopped does.
  func shutDown() {
    close()
    for connection in connections { connection.close() }
    connections = []
  }

  override func ready(_ readiness: Readiness) {
    while socket >= 0, case .success((let connection, _)) = world.nodeLoop.accept(socket) {
      let peer = NodeConnection(self, connection)
      peer.handle = (try? world.nodeLoop.watch(connection, peer)) ?? .none
      connections.append(peer)
    }
  }

  // MARK: Answers

  func reply(_ head: RequestHead, _ text: RawSpan) -> Reply {
    let target = text.bytes(head.target).text
    var range = head.value(.range).map { text.bytes($0).text }
    world.asked += 1
    guard let content = Content.byTarget[target] else {
      let answer = NodeAnswer(status: 404, isHead: head.method == .head)
      return Reply(wire: answer.wire(&random))
    }
    world.askedFor[content.number, default: 0] += 1
    if let condition = head.value(.ifRange), text.bytes(condition).text != content.etag {
      range = nil
    }
    let answer = NodeAnswer(content, isHead: head.method == .head, range: range)
    guard world.areNodesFaulty, random.chance(world.troubles.nodes[number]),
      let fault = chooseFault(content, isPart: answer.part != nil)
    else { return Reply(wire: answer.wire(&random)) }
    return spoil(answer, content, range, fault)
  }

  /// Any fault, but the rarer kinds more often where they fit; nil where it would not.
  private func chooseFault(_ content: Content, isPart: Bool) -> NodeFault? {
    let mayLie = world.troubles.lies && content.isRaw
    if mayLie && random.chance(0.3) { return .flipsByte }
    if isPart && random.chance(0.3) { return .otherPart }
    if random.chance(0.3) { return NodeFault.breaks.randomElement(using: &random) }
    let fault = NodeFault.allCases.randomElement(using: &random)
    return fault.map { !$0.isLie || mayLie } ?? false ? fault : nil
  }

  private func spoil(
    _ honest: NodeAnswer, _ content: Content, _ range: String?, _ fault: NodeFault
  ) -> Reply {
    var answer = honest
    var reply = Reply()
    switch fault {
    case .closeBeforeHead: return Reply(then: .close)
    case .resetBeforeHead: return Reply(then: .reset)
    case .stallBeforeHead:
      world.noteFailure(content, 504)
      return Reply(then: .stall)
    case .closeInBody: return cutOff(answer, .close)
    case .resetInBody: return cutOff(answer, .reset)
    case .stallInBody: return cutOff(answer, .stall)
    case .markerInBody: return giveUp(answer)
    case .slowBody:
      reply.slowPieces = random.number(in: 3...20)
    case .closeInHead:
      let wire = answer.wire(&random)
      return Reply(wire: Array(wire.prefix(random.number(in: 1...60))), then: .close)
    case .setCookie: answer.extra.append("Set-Cookie: a=b")
    case .chunked: answer.isChunked = answer.status != 416
    case .untilClose:
      answer.isUntilClose = true
      reply.then = .close
    case .ignoresRange: answer = NodeAnswer(content, isHead: honest.isHead, range: nil)
    case .notFound: answer = NodeAnswer(status: 404, isHead: honest.isHead)
    case .serverError: answer = NodeAnswer(status: 500, isHead: honest.isHead)
    case .gatewayTimeout: answer = NodeAnswer(status: 504, isHead: honest.isHead)
    case .interim: reply.wire = Array("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".utf8)
    case .junkAfter:
      reply.wire = answer.wire(&random) + Array("junk".utf8)
      return reply
    case .closesIdle: reply.closesAfter = .microseconds(random.number(in: 1...30_000))
    case .otherContent:
      let other = Content.all[random.number(in: 0...Content.all.count - 2)]
      world.listing?.swapped[content.number, default: []].append((world.network.now, other))
      answer = NodeAnswer(other, isHead: honest.isHead, range: range)
      // Some say whose it is in one field only.
      if answer.roots != nil {
        answer.roots = [other.roots, content.roots, nil].randomElement(using: &random) ?? nil
      }
    case .otherPart:
      if let part = honest.part {
        let first = random.number(in: 0...part.lowerBound)
        answer = NodeAnswer(content, isHead: false, range: "bytes=\(first)-\(part.upperBound - 1)")
      }
    case .flipsByte:
      if let index = answer.body.indices.randomElement(using: &random) {
        answer.body[index] ^= 0x40
      }
    case .shorterLength:
      answer.length = max(0, content.bytes.count - random.number(in: 1...70_000))
      answer.body = Array(answer.body.prefix(answer.length ?? 0))
    case .longerLength:
      let more = random.number(in: 1...70_000)
      answer.length = answer.length.map { $0 + more }
      answer.body += Array(repeating: 0x2a, count: more)
    }
    if answer.status >= 404 && answer.status != 416 { world.noteFailure(content, answer.status) }
    reply.wire += answer.wire(&random)
    return reply
  }

  private static let marker = Array(
    ("\n\n[Gateway Error: Response truncated - unable to retrieve remaining data "
      + "within timeout period]").utf8)

  private func giveUp(_ answer: NodeAnswer) -> Reply {
    let then: Reply.Then = random.chance(0.5) ? .reset : .close
    // More than was announced a gateway does not write.
    guard !answer.isHead, answer.body.count >= Self.marker.count else {
      return cutOff(answer, then)
    }
    var wire = answer.wire(&random)
    wire.removeLast(random.number(in: Self.marker.count...answer.body.count))
    let count = random.chance(0.5) ? Self.marker.count : random.number(in: 1...Self.marker.count)
    return Reply(wire: wire + Self.marker.prefix(count), then: then)
  }

  private func cutOff(_ answer: NodeAnswer, _ then: Reply.Then) -> Reply {
    var wire = answer.wire(&random)
    if answer.body.isEmpty || answer.isHead {
      if then == .stall, let content = answer.content { world.noteFailure(content, 504) }
      return Reply(then: then)
    }
    wire.removeLast(random.number(in: 1...answer.body.count))
    return Reply(wire: wire, then: then)
  }
}

/// A connection that the gateway has made to a node.
final class NodeConnection: EventHandler {
  private let node: Node
  private let socket: Int32
  var handle = Handle.none
  private var parser = RequestParser()
  private var head = RequestHead()
  private var input: [UInt8] = []
  private var current: Reply?
  private var sent = 0
  private var pieces = 0
  private var isPausing = false
  private var isClosed = false
  private var served = 0

  init(_ node: Node, _ socket: Int32) {
    self.node = node
    self.socket = socket
  }

  private var loop: Loop { node.world.nodeLoop }

  override func ready(_ readiness: Readiness) {
    receive()
    send()
  }

  private func receive() {
    var room = [UInt8](repeating: 0, count: 2048)
    while !isClosed {
      let result = room.withUnsafeMutableBytes { loop.receive(socket, into: $0) }
      switch result {
      case .bytes(let count): input += room[..<count]
      case .wouldBlock:
        takeRequest()
        return
      case .end, .broken: close()
      }
    }
  }

  private func takeRequest() {
    guard current == nil, !input.isEmpty else { return }
    switch parser.parse(input.rawBytes, into: &head) {
    case .needMore: return
    case .refused(let refusal):
      node.world.fail("a node was sent a malformed request: \(refusal.sentence)")
      close()
    case .complete(let count):
      current = node.reply(head, input.rawBytes)
      sent = 0
      pieces = 0
      input.removeFirst(count)
      parser.reset()
    }
  }

  private func send() {
    while !isClosed, !isPausing, let reply = current, sent < reply.wire.count {
      let most = node.random.chance(0.2) ? 500 : 60_000
      let size = min(reply.wire.count - sent, node.random.number(in: 1...most))
      let result = reply.wire.withUnsafeBytes { wire in
        loop.send(socket, wire.bytes.extracting(sent..<sent + size))
      }
      switch result {
      case .bytes(let count): sent += count
      case .wouldBlock: return
      case .end, .broken: close()
      }
      pieces += 1
      if pieces <= reply.slowPieces {
        pause(upTo: 700_000)
        return
      }
      if node.random.chance(0.2) {
        pause(upTo: 30_000)
        return
      }
    }
    if !isClosed, !isPausing, let reply = current, sent == reply.wire.count { end(reply) }
  }

  private func pause(upTo microseconds: Int) {
    isPausing = true
    node.world.network.after(.microseconds(node.random.number(in: 1...microseconds))) { [self] in
      isPausing = false
      send()
    }
  }

  private func end(_ reply: Reply) {
    switch reply.then {
    case .stall: return
    case .close: close()
    case .reset:
      node.world.network.breakConnection(socket)
      close()
    case .keep:
      current = nil
      served += 1
      if let wait = reply.closesAfter { closeLater(wait) }
      takeRequest()
      if current != nil { send() }
    }
  }

  private func closeLater(_ wait: Interval) {
    let count = served
    node.world.network.after(wait) { [self] in
      if served == count && current == nil && input.isEmpty { close() }
    }
  }

  func close() {
    if isClosed { return }
    isClosed = true
    current = nil
    loop.close(socket, handle)
  }
}
