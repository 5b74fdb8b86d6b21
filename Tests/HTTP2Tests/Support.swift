import Base
import HTTP2
import TestKit

/// A server's session and its client in memory; answers by the path: `/{bytes}`.
final class SessionPair: ServerSessionDelegate {
  struct Request {
    var id: Int32
    var head: String
    var hasBody: Bool
    var body: [UInt8] = []
    var bodyEnded = false
    var rest = 0
    var given = 0
    var waits = false
    var closed: Bool?
  }

  let memory = SessionMemory()
  let session: ServerSession
  let client: HTTP2Client
  var requests: [Request] = []
  var now = Instant.zero
  /// Every so many fillings one has to wait; 0 for none.
  var pauses = 0
  /// Streams, by their place, that break off at so many bytes.
  var breaks: [Int: Int] = [:]
  /// Whether bodies are read.
  var readsBodies = true
  private var fills = 0

  init(limits: HTTP2Limits = HTTP2Limits(), client: HTTP2Client = HTTP2Client()) {
    session = ServerSession(limits: limits, memory: memory)
    self.client = client
    session.delegate = self
  }

  static func body(_ place: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { byte(place, $0) }
  }

  private static func byte(_ place: Int, _ offset: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: place &* 31 &+ offset &* 7 &+ offset >> 8)
  }

  func requestArrived(_ stream: Int32, _ head: RawSpan, hasBody: Bool) -> Int? {
    let place = requests.count
    let text = head.text
    let path = text.split(separator: " ").dropFirst().first ?? "/"
    requests.append(Request(id: stream, head: text, hasBody: hasBody))
    requests[place].rest = Int(path.dropFirst()) ?? 0
    let lines =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nX-Ipfs-Path: \(path)\r\n"
    session.respond(stream, Array(lines.utf8).rawBytes, hasBody: requests[place].rest > 0)
    return place
  }

  func bodyArrived(_ place: Int, _ bytes: RawSpan) {
    requests[place].body += bytes.array
    if readsBodies {
      session.bodyTaken(requests[place].id, bytes.byteCount, staysOpen: true)
    }
  }

  func bodyEnded(_ place: Int) { requests[place].bodyEnded = true }

  func fill(_ place: Int, _ room: UnsafeMutableRawBufferPointer) -> Filling {
    fills += 1
    if pauses > 0, fills % pauses == 0 {
      requests[place].waits = true
      return .wait
    }
    if let end = breaks[place], requests[place].given >= end { return .broken }
    let count = min(room.count, requests[place].rest)
    for offset in 0..<count {
      room[offset] = Self.byte(place, requests[place].given + offset)
    }
    requests[place].given += count
    requests[place].rest -= count
    return requests[place].rest == 0 ? .last(count) : .bytes(count)
  }

  func answerSent(_ place: Int) {}

  func streamClosed(_ place: Int, isComplete: Bool) { requests[place].closed = isComplete }

  /// What the server sends now.
  func gather() -> [UInt8] {
    let output = FrameBuffer()
    var bytes: [UInt8] = []
    while true {
      session.gather(into: output)
      if output.isEmpty { return bytes }
      bytes += output.readable.array
      output.consume(output.count)
    }
  }

  /// Moves bytes both ways until nothing more comes, in pieces of the sizes that are given.
  func exchange(pieces: () -> Int = { .max }) {
    for _ in 0..<100_000 {
      for place in requests.indices where requests[place].waits {
        requests[place].waits = false
        session.resume(requests[place].id)
      }
      let asked = client.take()
      deliver(asked, pieces) { session.receive($0.rawBytes, at: now) }
      let answered = gather()
      deliver(answered, pieces) { client.receive($0) }
      if asked.isEmpty && answered.isEmpty && !requests.contains(where: \.waits) { return }
    }
  }

  private func deliver(_ bytes: [UInt8], _ pieces: () -> Int, _ receive: ([UInt8]) -> Void) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = rest.prefix(max(1, pieces()))
      receive(Array(piece))
      rest = rest.dropFirst(piece.count)
    }
  }
}
