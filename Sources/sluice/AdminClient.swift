import Admin
import Base
import HTTP
import HTTP1
import System

/// One request to a running gateway's admin address, and its answer; waits for both.
struct AdminClient {
  /// Why there is no answer.
  enum Trouble: Error {
    /// No connection; the system's error number.
    case unreachable(Int32)
    case timeout
    /// The connection ended, or what came is no answer of ours.
    case broken
  }

  struct Answer {
    var status: Int
    var body: JSONValue
  }

  /// A request with what it needs.
  struct Request {
    var method = Method.get
    var target: String
    var token: [UInt8]?
    var body: JSONValue?
    /// How long all of it may take.
    var patience = Interval.seconds(20)
  }

  /// Statistics of thousands of servers, and receipts of a thousand subjects, are far below it.
  private static let maximumBytes = 16 << 20
  private static let connectPatience = Interval.seconds(5)

  let address: SocketAddress

  func ask(_ request: Request) throws(Trouble) -> Answer {
    let deadline = Clock.now + request.patience
    var poller = try Self.poller()
    let socket: Int32
    do throws(Fault) {
      socket = try SocketCalls.connect(to: address)
    } catch {
      throw .unreachable(error.errno)
    }
    defer { SocketCalls.close(socket) }
    do throws(Fault) {
      try poller.watch(socket, handle: .none)
    } catch {
      throw .unreachable(error.errno)
    }
    try wait(&poller, until: min(deadline, Clock.now + Self.connectPatience))
    let error = SocketCalls.pendingError(socket)
    guard error == 0 else { throw .unreachable(error) }
    try send(text(of: request), on: socket, &poller, until: deadline)
    return try receive(on: socket, &poller, request.method, until: deadline)
  }

  private static func poller() throws(Trouble) -> Poller {
    do throws(Fault) {
      return try Poller()
    } catch {
      throw .unreachable(error.errno)
    }
  }

  /// By its address, whatever name it was found by: that is a host that the gateway knows itself by.
  private func text(of request: Request) -> [UInt8] {
    var text = ByteBuffer(capacity: 1024)
    text.append(request.method == .post ? "POST " as StaticString : "GET ")
    text.append(request.target)
    text.append(" HTTP/1.1\r\nHost: ")
    text.append(address.description)
    text.append("\r\nConnection: close\r\n")
    if let token = request.token {
      text.append("Authorization: Bearer ")
      text.append(token)
      text.append("\r\n")
    }
    let body = request.body?.text ?? []
    if request.body != nil {
      text.append("Content-Type: application/json\r\nContent-Length: ")
      text.append(decimal: body.count)
      text.append("\r\n")
    }
    text.append("\r\n")
    text.append(body)
    return text.readable.array
  }

  private func wait(_ poller: inout Poller, until deadline: Instant) throws(Trouble) {
    while true {
      let left = (deadline - Clock.now).milliseconds
      guard left > 0 else { throw .timeout }
      // A signal ends a wait too: a terminal that was resized, a job that goes on.
      if poller.wait(milliseconds: Int32(clamping: left + 1)) > 0 { return }
    }
  }

  private func send(
    _ bytes: [UInt8], on socket: Int32, _ poller: inout Poller, until deadline: Instant
  ) throws(Trouble) {
    var sent = 0
    while sent < bytes.count {
      let outcome = SocketCalls.send(
        socket, bytes.rawBytes.extracting(sent..<bytes.count), more: false)
      switch outcome {
      case .bytes(let count): sent += count
      case .wouldBlock: try wait(&poller, until: deadline)
      // An answer may be there all the same: a refusal that read no body.
      case .end, .broken: return
      }
    }
  }

  private func receive(
    on socket: Int32, _ poller: inout Poller, _ method: Method, until deadline: Instant
  ) throws(Trouble) -> Answer {
    var input = ByteBuffer(capacity: 64 << 10)
    var parser = ResponseParser()
    var head = ResponseHead()
    var reader: BodyReader?
    var body: [UInt8] = []
    while true {
      if reader == nil, !input.isEmpty {
        switch parser.parse(input.readable, into: &head) {
        case .needMore: break
        case .refused: throw .broken
        case .complete(let count):
          input.consume(count)
          reader = BodyReader(.ofResponse(head, requestMethod: method))
        }
      }
      if var current = reader {
        let isWhole = try read(&current, &input, into: &body)
        reader = current
        if isWhole { return try answer(head.status, body) }
      }
      var outcome = IOResult.wouldBlock
      _ = unsafe input.fill(atLeast: 16 << 10) { tail in
        outcome = unsafe SocketCalls.receive(socket, into: tail)
        if case .bytes(let count) = outcome { return count }
        return 0
      }
      switch outcome {
      case .bytes: continue
      case .wouldBlock: try wait(&poller, until: deadline)
      case .end where reader?.endOfInput == .complete: return try answer(head.status, body)
      case .end, .broken: throw .broken
      }
    }
  }

  /// Takes what has come of the body; whether that was its end.
  private func read(
    _ reader: inout BodyReader, _ input: inout ByteBuffer, into body: inout [UInt8]
  ) throws(Trouble) -> Bool {
    while true {
      switch reader.read(input.readable) {
      case .needMore(let consumed):
        input.consume(consumed)
        return false
      case .end(let consumed):
        input.consume(consumed)
        return true
      case .malformed: throw .broken
      case .data(let skip, let count):
        input.consume(skip)
        body += input.readable.extracting(0..<count).array
        input.consume(count)
        guard body.count <= Self.maximumBytes else { throw .broken }
      }
      if input.isEmpty { return reader.isComplete }
    }
  }

  private func answer(_ status: Int, _ body: [UInt8]) throws(Trouble) -> Answer {
    do throws(JSONValue.Malformed) {
      return Answer(status: status, body: try JSONValue(parsing: body.rawBytes))
    } catch {
      throw .broken
    }
  }
}
