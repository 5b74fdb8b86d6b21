import Base
import Foundation

/// Clients that ask for the items of a catalogue without a pause, each on a thread, and hold every
/// byte that they get against the content.
public final class Traffic: @unchecked Sendable {
  // Unchecked: `state` is guarded by the lock; the rest is constant.

  /// How many of a hundred requests are not for a whole object that is read at once to its end.
  public struct Mix: Sendable {
    public var parts = 25
    public var heads = 5
    /// Clients that leave in the middle, half of them by a reset.
    public var leaves = 5
    /// Clients that take their time.
    public var slow = 2
    /// Pauses between requests, in milliseconds.
    public var pause: UInt32 = 0

    public init() {}
  }

  public struct Tally: Sendable {
    public var answers = 0
    public var hits = 0
    public var bytes = 0
    /// Answers that were not complete, had the wrong status, or did not come; with why.
    public var broken: [String] = []
    /// Answers with bytes that are not the content's.
    public var wrong: [String] = []
    /// Seconds that the slowest answer took to its first byte.
    public var slowestHead = 0.0
  }

  private struct State {
    var tally = Tally()
    var received: [Int] = []
    var running = 0
    var isStopping = false
    var expectsTheEnd = false
  }

  private let catalogue: Catalogue
  private let items: Range<Int>
  private let mix: Mix
  private let lock = NSCondition()
  private var state = State()

  /// - Parameter items: Those of the catalogue that are asked for; the first ones most often.
  public init(_ catalogue: Catalogue, items: Range<Int>? = nil, mix: Mix = Mix()) {
    self.catalogue = catalogue
    self.items = items ?? 0..<catalogue.items.count
    self.mix = mix
  }

  public var tally: Tally { lock.withLock { state.tally } }

  /// The items that were received whole, and not passed by the cache, since the last call.
  public func takeReceived() -> [Int] {
    lock.withLock {
      defer { state.received = [] }
      return state.received
    }
  }

  public func start(clients: Int, port: UInt16, seed: UInt64) {
    lock.withLock { state.running += clients }
    for number in 0..<clients {
      Thread.detachNewThread { [self] in
        var random = SeededRandom(seed: seed &* 1000 &+ UInt64(number))
        live(port, &random)
        lock.withLock {
          state.running -= 1
          lock.broadcast()
        }
      }
    }
  }

  /// From now on answers that break off are nobody's fault: the gateway is about to be killed.
  public func expectTheEnd() { lock.withLock { state.expectsTheEnd = true } }

  /// Lets the requests under way end, and waits for that.
  public func stop(seconds: Double = 120) throws {
    let limit = Date(timeIntervalSinceNow: seconds)
    let hasEnded = lock.withLock {
      state.isStopping = true
      while state.running > 0 {
        if !lock.wait(until: limit) { return state.running == 0 }
      }
      return true
    }
    if !hasEnded { throw TestFailure("clients do not end") }
  }

  /// Lets them run for a while, calling `each` every 50 ms; then stops them.
  ///
  /// - Parameter least: Answers that there must be more of: a slow machine has another minute for that.
  public func run(
    seconds: Double, clients: Int, port: UInt16, seed: UInt64, least: Int = 0,
    each: () throws -> Void = {}
  ) throws {
    start(clients: clients, port: port, seed: seed)
    let deadline = Deadline(seconds: seconds)
    let limit = Deadline(seconds: seconds + 60)
    do {
      while !deadline.hasPassed || tally.answers <= least && !limit.hasPassed {
        try each()
        usleep(50_000)
      }
    } catch {
      try? stop()
      throw error
    }
    try stop()
  }

  // MARK: One client

  private var isStopping: Bool { lock.withLock { state.isStopping || state.expectsTheEnd } }

  private func live(_ port: UInt16, _ random: inout SeededRandom) {
    var client: RawClient?
    while !isStopping {
      // The square lets the first items be asked for more often than the last ones.
      let share = Double(random.number(in: 0...(1 << 20) - 1)) / Double(1 << 20)
      let index = items.lowerBound + Int(share * share * Double(items.count))
      let draw = random.number(in: 0...99)
      do {
        let open = try client ?? RawClient(port: port)
        client = try ask(open, index, draw, port, &random) ? open : nil
      } catch {
        client = nil
        note { $0.tally.broken.append("\(catalogue.items[index].path): \(error)") }
      }
      if mix.pause > 0 { usleep(mix.pause * 1000) }
    }
  }

  /// Faults of answers count only as long as the gateway is meant to live.
  private func note(_ change: (inout State) -> Void) {
    lock.withLock {
      let before = state.tally.broken.count
      change(&state)
      if state.tally.broken.count > before, state.expectsTheEnd || before >= 50 {
        state.tally.broken.removeLast()
      }
    }
  }

  /// One request; whether the connection is good for another one.
  private func ask(
    _ client: RawClient, _ index: Int, _ draw: Int, _ port: UInt16, _ random: inout SeededRandom
  ) throws -> Bool {
    let item = catalogue.items[index]
    var limit = mix.heads
    if draw < limit {
      take(try client.request(item.path, method: "HEAD"), index, part: nil, isHead: true)
      return true
    }
    limit += mix.leaves
    if draw < limit {
      try client.send(RawClient.text(item.path))
      let head = try client.head()
      let count = random.number(in: 0...item.count)
      let start = try client.bytes(count)
      check(head, start, index, 0..<count)
      if draw % 2 == 0 { client.reset() }
      return false
    }
    limit += mix.slow
    if draw < limit {
      try readSlowly(port, index)
      return true
    }
    limit += mix.parts
    guard draw < limit else {
      let began = ContinuousClock.now
      try client.send(RawClient.text(item.path))
      var answer = try client.head()
      let seconds = began.duration(to: .now) / .seconds(1)
      answer.body = try client.bytes(Int(answer["Content-Length"] ?? "") ?? 0)
      answer.isComplete = answer.body.count == item.count
      note { $0.tally.slowestHead = max($0.tally.slowestHead, seconds) }
      take(answer, index, part: nil)
      return answer.isComplete
    }
    let first = random.number(in: 0...item.count - 1)
    let last = min(item.count - 1, first + random.number(in: 0...1 << 20))
    let answer = try client.request(item.path, [("Range", "bytes=\(first)-\(last)")])
    take(answer, index, part: first..<last + 1)
    return answer.isComplete
  }

  private func readSlowly(_ port: UInt16, _ index: Int) throws {
    let slow = try RawClient(port: port, receiveBuffer: 4096)
    try slow.send(RawClient.text(catalogue.items[index].path))
    var answer = try slow.head()
    let total = catalogue.items[index].count
    while answer.body.count < total {
      let wanted = min(total - answer.body.count, max(4096, total / 20))
      let more = try slow.bytes(wanted)
      answer.body += more
      if more.count < wanted { break }
      usleep(20_000)
    }
    answer.isComplete = answer.body.count == total
    take(answer, index, part: nil)
  }

  private func take(_ answer: Response, _ index: Int, part: Range<Int>?, isHead: Bool = false) {
    let item = catalogue.items[index]
    let status = part == nil ? 200 : 206
    if answer.status != status || !answer.isComplete {
      let got = "\(answer.status), \(answer.body.count) of \(part?.count ?? item.count) bytes"
      note { $0.tally.broken.append("\(item.path) (\(part.map { "\($0)" } ?? "all")): \(got)") }
    }
    if isHead {
      guard answer.status == 200, answer["Content-Length"] != "\(item.count)" else { return }
      note { $0.tally.wrong.append("\(item.path): HEAD with another length") }
      return
    }
    check(answer, answer.body, index, part ?? 0..<item.count)
    let isKept = answer["Cache-Status"].map { $0.hasSuffix("hit") || $0.contains("stored") }
    note { state in
      state.tally.answers += 1
      state.tally.bytes += answer.body.count
      if answer.cacheStatus == "HIT" { state.tally.hits += 1 }
      guard part == nil, answer.isComplete, isKept == true else { return }
      state.received.append(index)
    }
  }

  /// Holds as many bytes as came against the content's.
  private func check(_ head: Response, _ bytes: [UInt8], _ index: Int, _ part: Range<Int>) {
    guard head.status == 200 || head.status == 206 else { return }
    let came = part.lowerBound..<min(part.lowerBound + bytes.count, part.upperBound)
    guard bytes.count > part.count || !catalogue.isRight(bytes, index, came) else { return }
    let path = catalogue.items[index].path
    note { $0.tally.wrong.append("\(path) (\(part)): \(head["Cache-Status"] ?? "")") }
  }
}
