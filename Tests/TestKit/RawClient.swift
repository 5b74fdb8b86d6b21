import Foundation

/// A client that sends what it is told, byte for byte, and waits for nothing longer than its limit.
public final class RawClient {
  public enum Ending: Equatable, Sendable {
    case closed, reset
    /// Bytes came instead of the end.
    case bytes
    /// Neither came in time.
    case open
  }

  private var socket: Int32
  private var input: [UInt8] = []
  private let seconds: Double

  /// - Parameters:
  ///   - seconds: The limit of each wait.
  ///   - receiveBuffer: Bytes that the system may hold for it; small for a client that takes nothing.
  public init(port: UInt16, seconds: Double = 60, receiveBuffer: Int32? = nil) throws {
    self.seconds = seconds
    socket = try Sockets.make()
    if var receiveBuffer {
      setsockopt(
        socket, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
    }
    try Sockets.connect(socket, to: port)
  }

  deinit { close() }

  public func close() {
    if socket >= 0 { Foundation.close(socket) }
    socket = -1
  }

  /// Closes with a reset.
  public func reset() {
    if socket >= 0 { Sockets.reset(socket) }
    socket = -1
  }

  /// Says that nothing more will be sent.
  public func endSending() { shutdown(socket, Int32(SHUT_WR)) }

  // MARK: Sending

  public func send(_ text: String) throws { try send(Array(text.utf8)) }

  public func send(_ bytes: [UInt8]) throws {
    let deadline = Deadline(seconds: seconds)
    var sent = 0
    while sent < bytes.count {
      guard Sockets.wait(socket, for: POLLOUT, until: deadline) else {
        throw TestFailure("the gateway takes no bytes")
      }
      let count = bytes.withUnsafeBytes {
        Foundation.send(
          socket, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count >= 0 else { throw TestFailure.system("cannot send") }
      sent += count
    }
  }

  public static func text(
    _ path: String, method: String = "GET", _ fields: [(String, String)] = []
  ) -> String {
    let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
    return "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n\(lines)\r\n"
  }

  /// Sends a request and reads its answer.
  public func request(
    _ path: String, method: String = "GET", _ fields: [(String, String)] = []
  ) throws -> Response {
    try send(Self.text(path, method: method, fields))
    return try response(to: method)
  }

  // MARK: Receiving

  private enum Received { case bytes(Int), end, reset, nothing }

  private func receive(into buffer: UnsafeMutableRawBufferPointer, until deadline: Deadline)
    -> Received
  {
    guard Sockets.wait(socket, for: POLLIN, until: deadline) else { return .nothing }
    let count = recv(socket, buffer.baseAddress, buffer.count, 0)
    return count > 0 ? .bytes(count) : count == 0 ? .end : .reset
  }

  /// More input; false at the end.
  private func receiveMore(_ deadline: Deadline) throws -> Bool {
    var scratch = [UInt8](repeating: 0, count: 16 << 10)
    let received = scratch.withUnsafeMutableBytes { receive(into: $0, until: deadline) }
    switch received {
    case .bytes(let count):
      input += scratch[..<count]
      return true
    case .end, .reset: return false
    case .nothing: throw TestFailure("no answer in time; so far: \(input.count) bytes")
    }
  }

  /// The next answer's head.
  public func head() throws -> Response {
    let deadline = Deadline(seconds: seconds)
    while true {
      if let end = headEnd() {
        let text = String(decoding: input[..<end], as: UTF8.self)
        input.removeFirst(end)
        return try Response(head: text)
      }
      guard try receiveMore(deadline) else {
        throw TestFailure("the connection ended within a head: \(input.count) bytes")
      }
    }
  }

  private func headEnd() -> Int? {
    input.withUnsafeBytes { bytes in
      var start = 0
      while start + 4 <= bytes.count {
        if bytes[start] == 13, bytes[start + 1] == 10, bytes[start + 2] == 13,
          bytes[start + 3] == 10
        {
          return start + 4
        }
        start += 1
      }
      return nil
    }
  }

  /// The next answer, with as much of its body as comes.
  public func response(to method: String = "GET") throws -> Response {
    var response = try head()
    if method == "HEAD" || response.status == 304 || response.status == 204 {
      response.isComplete = true
    } else if response["Transfer-Encoding"] == "chunked" {
      (response.body, response.isComplete) = try chunks()
    } else if let text = response["Content-Length"], let length = Int(text) {
      response.body = try bytes(length)
      response.isComplete = response.body.count == length
    } else {
      while try receiveMore(Deadline(seconds: seconds)) {}
      response.body = input
      input = []
      response.isComplete = true
    }
    return response
  }

  /// So many bytes of a body, or fewer where the connection ends before.
  public func bytes(_ count: Int) throws -> [UInt8] {
    let ready = min(count, input.count)
    var isLate = false
    let body = [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      raw.copyBytes(from: input[..<ready])
      written = ready
      while written < count {
        let room = UnsafeMutableRawBufferPointer(rebasing: raw[written...])
        switch receive(into: room, until: Deadline(seconds: seconds)) {
        case .bytes(let more): written += more
        case .end, .reset: return
        case .nothing:
          isLate = true
          return
        }
      }
    }
    if isLate { throw TestFailure("the body stalls after \(body.count) of \(count) bytes") }
    input.removeFirst(ready)
    return body
  }

  private func line() throws -> String? {
    while true {
      if let end = input.firstIndex(of: 10) {
        let text = String(decoding: input[..<end], as: UTF8.self)
        input.removeFirst(end + 1)
        return text.hasSuffix("\r") ? String(text.dropLast()) : text
      }
      guard try receiveMore(Deadline(seconds: seconds)) else { return nil }
    }
  }

  private func chunks() throws -> ([UInt8], Bool) {
    var body: [UInt8] = []
    while let size = try line() {
      guard let count = Int(size, radix: 16) else { throw TestFailure("not a chunk: \(size)") }
      if count == 0 { return (body, try line() == "") }
      let chunk = try bytes(count)
      body += chunk
      guard chunk.count == count, try line() == "" else { return (body, false) }
    }
    return (body, false)
  }

  /// What becomes of the connection, other bytes than those already read being none of its end.
  public func ending(within limit: Double) -> Ending {
    guard input.isEmpty else { return .bytes }
    var scratch: [UInt8] = [0]
    let received = scratch.withUnsafeMutableBytes {
      receive(into: $0, until: Deadline(seconds: limit))
    }
    switch received {
    case .bytes:
      input += scratch
      return .bytes
    case .end: return .closed
    case .reset: return .reset
    case .nothing: return .open
    }
  }
}
