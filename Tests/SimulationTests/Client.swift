import Base
import EventLoop
import HTTP
import HTTP1
import System

/// One request of a client, and what an honest answer to it is.
struct Ask {
  enum Condition: CaseIterable { case none, noneMatch, noneMatchOther, ifRange, ifRangeOther }
  var content: Content
  var isHead = false
  var range: String?
  var condition = Condition.none
  var closes = false

  /// Status, and for a part its place.
  var expected: (status: Int, part: Range<Int>?) {
    let total = content.bytes.count
    if condition == .noneMatch { return (304, nil) }
    guard total > 0, condition != .ifRangeOther, let range, let wanted = Wanted(range)
    else {
      return (200, 0..<total)
    }
    guard let part = wanted.part(of: total) else { return (416, nil) }
    return (206, part)
  }

  var wire: [UInt8] {
    var text = "\(isHead ? "HEAD" : "GET") \(content.target) HTTP/1.1\r\nHost: gateway.example\r\n"
    if let range { text += "Range: \(range)\r\n" }
    switch condition {
    case .none: break
    case .noneMatch: text += "If-None-Match: \"x\", W/\(content.etag)\r\n"
    case .noneMatchOther: text += "If-None-Match: \"x\"\r\n"
    case .ifRange: text += "If-Range: \(content.etag)\r\n"
    case .ifRangeOther: text += "If-Range: \"x\"\r\n"
    }
    if closes { text += "Connection: close\r\n" }
    return Array((text + "\r\n").utf8)
  }

  var text: String {
    "\(isHead ? "HEAD" : "GET") #\(content.number) (\(content.bytes.count) bytes, "
      + "\(content.isRaw ? "raw" : "file")) range \(range ?? "-") condition \(condition)"
  }
}

/// How a client behaves.
struct Manners {
  var pipelines = false
  var halfCloses = false
  var abortsAfter: Interval?
  /// Reads at most so many bytes at a time.
  var gulp = 64 << 10
  /// How likely it pauses after each of them.
  var pauses = 0.0
}

/// A client with one connection and some requests on it.
final class Client: EventHandler {
  unowned let world: World
  let number: Int
  private let asks: [Ask]
  private let manners: Manners
  private var random: SeededRandom
  private var socket: Int32 = -1
  private var handle = Handle.none
  private var output: [UInt8] = []
  private var asked = 0
  /// When each request was put on its way.
  private var askedAt: [Instant] = []
  private var answered = 0
  private var input: [UInt8] = []
  private var parser = ResponseParser()
  private var head = ResponseHead()
  private var answer: Answer?
  private var isConnected = false
  private var isPausing = false
  private var wasToldToClose = false
  private(set) var isOver = false
  /// When something last happened for this client.
  private(set) var lastProgress = Instant.never
  private var started = Instant.never

  init(_ world: World, _ number: Int, _ asks: [Ask], _ manners: Manners) {
    self.world = world
    self.number = number
    self.asks = asks
    self.manners = manners
    random = SeededRandom(seed: world.random.next())
  }

  func start() {
    progress()
    started = world.network.now
    guard let connected = try? world.clientLoop.connect(to: World.address, self) else {
      isOver = true
      return
    }
    (socket, handle) = connected
    if let wait = manners.abortsAfter {
      world.network.after(wait) { [self] in
        if !isOver { close() }
      }
    }
  }

  private func progress() { lastProgress = world.network.now }

  func close() {
    guard !isOver else { return }
    isOver = true
    world.clientLoop.close(socket, handle)
  }

  // MARK: Sending

  override func ready(_ readiness: Readiness) {
    guard !isOver else { return }
    if !isConnected {
      guard readiness.contains(.writable) else { return }
      if world.clientLoop.pendingError(socket) != 0 {
        if !world.mayRefuse && !mayBeCut { world.fail("client \(number) was refused a connection") }
        close()
        return
      }
      isConnected = true
      ask()
    }
    send()
    receive()
  }

  /// Puts the next request, or all, on the way.
  private func ask() {
    while asked < asks.count, manners.pipelines || asked == answered {
      output += asks[asked].wire
      askedAt.append(world.network.now)
      asked += 1
    }
  }

  private func send() {
    while !isOver, !output.isEmpty {
      switch world.clientLoop.send(socket, output.rawBytes) {
      case .bytes(let count):
        output.removeFirst(count)
        progress()
      case .wouldBlock: return
      // What was answered before may still be read.
      case .end, .broken: output = []
      }
    }
    if !isOver, manners.halfCloses, asked == asks.count { world.clientLoop.shutdownWrite(socket) }
  }

  // MARK: Receiving

  private func receive() {
    while !isOver, !isPausing {
      var room = [UInt8](repeating: 0, count: manners.gulp)
      let result = room.withUnsafeMutableBytes { world.clientLoop.receive(socket, into: $0) }
      switch result {
      case .bytes(let count):
        progress()
        input += room[..<count]
        take()
        if !isOver, random.chance(manners.pauses) { pause() }
      case .wouldBlock: return
      case .end: connectionEnded(reset: false)
      case .broken: connectionEnded(reset: true)
      }
    }
  }

  private func pause() {
    isPausing = true
    world.network.after(.microseconds(random.number(in: 1...20_000))) { [self] in
      isPausing = false
      progress()
      receive()
    }
  }

  private func take() {
    var start = 0
    while !isOver {
      let step = input.withUnsafeBytes { takeStep($0, &start) }
      guard step else { break }
      if answer == nil && answered == asks.count {
        if start < input.count {
          world.fail("client \(number) was sent bytes after the last answer")
        }
        close()
      }
    }
    input.removeFirst(start)
  }

  /// Takes one head or one piece of a body; false where more has to come.
  private func takeStep(_ input: UnsafeRawBufferPointer, _ start: inout Int) -> Bool {
    let bytes = input.bytes.extracting(start..<input.count)
    guard var answer = answer else {
      if bytes.byteCount == 0 { return false }
      switch parser.parse(bytes, into: &head) {
      case .needMore: return false
      case .refused(let refusal):
        fail("was sent a malformed head: \(refusal.sentence)")
        return false
      case .complete(let count):
        parser.reset()
        guard answered < asked else {
          fail("was sent an answer without a request")
          return false
        }
        self.answer = Answer(
          asks[answered], head, bytes.extracting(0..<count), world, since: askedAt[answered])
        wasToldToClose = wasToldToClose || !head.keepAlive
        start += count
        if let complaint = self.answer?.complaint { fail(complaint) }
        return !isOver
      }
    }
    switch answer.reader.read(bytes) {
    case .needMore(let consumed):
      start += consumed
      self.answer = answer
      return false
    case .data(let skip, let count):
      let piece = UnsafeRawBufferPointer(rebasing: input[(start + skip)..<(start + skip + count)])
      answer.took(piece, world)
      start += skip + count
      self.answer = answer
      if let complaint = answer.complaint { fail(complaint) }
      return !isOver
    case .end(let consumed):
      start += consumed
      completed(answer)
      return !isOver
    case .malformed(let sentence):
      fail("was sent a malformed body: \(sentence)")
      return false
    }
  }

  private func completed(_ answer: Answer) {
    if let complaint = answer.complaintAtEnd(world) { fail(complaint) }
    world.note(number, answered, answer.status, answer.position)
    world.answers += 1
    self.answer = nil
    answered += 1
    if answered < asks.count && !wasToldToClose { ask() }
    send()
  }

  private func fail(_ complaint: String) {
    let what = answered < asks.count ? asks[answered].text : "-"
    world.fail("client \(number), request \(answered): \(what): \(complaint)")
    close()
  }

  // MARK: Ends

  private func connectionEnded(reset: Bool) {
    world.note(number, answered, -1, reset ? 1 : 0)
    if let answer {
      world.broken += 1
      if !world.troubles.hasFaultyNodes && !mayBeCut && !mayBeGivenUp {
        fail("was cut off after \(answer.position) bytes (reset \(reset), \(manners))")
      } else if answer.kind == .kept && !mayBeCut
        && world.troubles.hasGoodNode(for: answer.ask.content)
      {
        fail(
          "was cut off after \(answer.position) bytes, which a good node could have gone on with")
      }
    } else if answered < asked && !mayGoUnanswered && !mayBeGivenUp {
      fail("was not answered (reset \(reset), \(manners))")
    }
    close()
  }

  private var mayBeCut: Bool {
    world.mayBeCut(since: started)
      || answered < asks.count && world.mayHaveBeenDenied(asks[answered].content, since: started)
  }

  private var mayBeGivenUp: Bool {
    world.troubles.losesSlices && answered < asks.count && asks[answered].content.isRaw
  }

  private var mayGoUnanswered: Bool {
    // A broken answer may end before its head is on its way.
    manners.halfCloses || wasToldToClose || mayBeCut || world.mayRefuse
      || world.troubles.hasFaultyNodes
  }

  /// Complains where nothing has happened for too long.
  func watch(limit: Interval) {
    if !isOver, world.network.now - lastProgress > limit { fail("hangs (\(manners))") }
  }
}
