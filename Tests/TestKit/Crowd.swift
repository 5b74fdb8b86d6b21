import Foundation

/// Many clients at once, on one thread; each compares what it gets with what it should, as it comes.
public final class Crowd {
  /// One of them.
  public struct Client: Sendable {
    fileprivate var socket: Int32
    fileprivate var unsent: [UInt8]
    fileprivate var part: Range<Int>
    /// Bytes of body that it takes in a second; nil for all it can get.
    fileprivate var pace: Int?
    fileprivate var began = ContinuousClock.now
    /// The head so far; whole once `status` is known.
    public fileprivate(set) var head: [UInt8] = []
    public fileprivate(set) var status: Int?
    /// Bytes of the body.
    public fileprivate(set) var received = 0
    public fileprivate(set) var isWrong = false
    /// The connection's end came, or its failure.
    public fileprivate(set) var hasEnded = false

    public var isDone: Bool { status != nil && received == part.count && !isWrong }
    fileprivate var isOpen: Bool { socket >= 0 }

    /// How much of the body it wants to have by now.
    fileprivate func allowance(at now: ContinuousClock.Instant) -> Int {
      guard let pace else { return .max }
      let (seconds, fraction) = began.duration(to: now).components
      return pace * Int(seconds) + pace * Int(fraction / 1_000_000_000_000_000) / 1000
    }
  }

  public private(set) var clients: [Client] = []
  private let body: [UInt8]
  private var scratch = [UInt8](repeating: 0, count: 256 << 10)

  /// - Parameter body: What they all ask for, or ask for parts of.
  public init(of body: [UInt8]) { self.body = body }

  deinit { for client in clients where client.isOpen { close(client.socket) } }

  /// Connects one more client, with a request and the part of the body that answers it.
  ///
  /// One with a pace, in bytes a second, takes its first kilobyte at once, and has little room.
  public func add(port: UInt16, request: String, part: Range<Int>, pace: Int? = nil) throws {
    let socket = try Sockets.make(nonBlocking: true)
    if pace != nil {
      var room: Int32 = 16 << 10
      setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    }
    clients.append(Client(socket: socket, unsent: Array(request.utf8), part: part, pace: pace))
    try Sockets.connect(socket, to: port)
  }

  /// Lets one of them go, without a word or with a reset.
  public func leave(_ index: Int, reset: Bool = false) {
    guard clients[index].isOpen else { return }
    if reset { Sockets.reset(clients[index].socket) } else { close(clients[index].socket) }
    clients[index].socket = -1
  }

  public var doneCount: Int { clients.count { $0.isDone } }

  /// Sends and receives until a condition holds; false if it did not in time.
  public func run(within seconds: Double = 60, until condition: (Crowd) -> Bool) -> Bool {
    let deadline = Deadline(seconds: seconds)
    while !condition(self) {
      var entries: [pollfd] = []
      var indices: [Int] = []
      let now = ContinuousClock.now
      var isAnyWaiting = false
      for index in clients.indices {
        let client = clients[index]
        guard client.isOpen, !client.hasEnded, !client.isDone else { continue }
        if client.received >= 1024 && client.received >= client.allowance(at: now) {
          isAnyWaiting = true
          continue
        }
        let events = client.unsent.isEmpty ? POLLIN : POLLOUT
        entries.append(pollfd(fd: client.socket, events: Int16(events), revents: 0))
        indices.append(index)
      }
      if deadline.hasPassed || entries.isEmpty && !isAnyWaiting { return condition(self) }
      let limit = min(isAnyWaiting ? 10 : 100, deadline.milliseconds)
      guard poll(&entries, nfds_t(entries.count), limit) >= 0 else {
        continue
      }
      for (place, entry) in entries.enumerated() where entry.revents != 0 {
        if clients[indices[place]].unsent.isEmpty {
          receive(indices[place])
        } else {
          send(indices[place])
        }
      }
    }
    return true
  }

  private func send(_ index: Int) {
    let bytes = clients[index].unsent
    let count = bytes.withUnsafeBytes {
      Foundation.send(
        clients[index].socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    if count >= 0 {
      clients[index].unsent.removeFirst(count)
    } else if errno != EAGAIN {
      clients[index].hasEnded = true
    }
  }

  private func receive(_ index: Int) {
    let most = clients[index].pace == nil ? scratch.count : 4096
    let count = scratch.withUnsafeMutableBytes {
      recv(clients[index].socket, $0.baseAddress, most, 0)
    }
    guard count > 0 else {
      if count == 0 || errno != EAGAIN { clients[index].hasEnded = true }
      return
    }
    var start = 0
    if clients[index].status == nil {
      guard let end = takeHead(index, count) else { return }
      start = end
    }
    take(index, start..<count)
  }

  /// Takes what belongs to the head; where the body begins, once the head is whole.
  private func takeHead(_ index: Int, _ count: Int) -> Int? {
    let before = clients[index].head.count
    clients[index].head += scratch[..<count]
    let head = clients[index].head
    let end = (max(4, before)...max(4, head.count)).first { place in
      place <= head.count && head[(place - 4)..<place].elementsEqual([13, 10, 13, 10])
    }
    guard let end else { return nil }
    clients[index].head.removeLast(head.count - end)
    let words = String(decoding: head[..<end], as: UTF8.self).split(separator: " ", maxSplits: 2)
    clients[index].status = words.count > 1 ? Int(words[1]) : 0
    return end - before
  }

  private func take(_ index: Int, _ places: Range<Int>) {
    let client = clients[index]
    guard client.received + places.count <= client.part.count else {
      clients[index].isWrong = true
      return
    }
    let offset = client.part.lowerBound + client.received
    let isSame = scratch.withUnsafeBytes { got in
      body.withUnsafeBytes { wanted in
        guard let one = got.baseAddress, let two = wanted.baseAddress else { return true }
        return memcmp(one + places.lowerBound, two + offset, places.count) == 0
      }
    }
    if !isSame { clients[index].isWrong = true }
    clients[index].received += places.count
  }
}
