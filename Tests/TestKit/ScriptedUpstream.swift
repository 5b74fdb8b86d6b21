import Foundation

/// An HTTP peer within the test process that does what the test's script says, well-behaved or not.
///
/// Each connection has a thread, so that a script may pause or wait.
public final class ScriptedUpstream: @unchecked Sendable {
  // Unchecked: everything that changes is guarded by the lock.

  public struct Request: Sendable {
    /// From 0, over all connections.
    public var number: Int
    /// From 0, in the order of acceptance.
    public var connection: Int
    /// From 0, on its connection.
    public var place: Int
    public var method: String
    public var target: String
    public var fields: [(name: String, value: String)]

    public subscript(name: String) -> String? {
      let wanted = name.lowercased()
      return fields.first { $0.name.lowercased() == wanted }?.value
    }
  }

  public typealias Script = @Sendable (Request, Reply) throws -> Void

  public let port: UInt16
  private let listener: Int32
  private let script: Script
  private let lock = NSLock()
  private var sockets: Set<Int32> = []
  private var received: [Request] = []
  private var connections = 0
  private var isStopped = false
  private let remembers: Bool
  private var count = 0

  /// - Parameter remembers: Whether `requests` keeps what has come; not for millions.
  public init(remembers: Bool = true, _ script: @escaping Script) throws {
    self.remembers = remembers
    self.script = script
    (listener, port) = try Sockets.listen()
    let listener = listener
    Thread.detachNewThread { [weak self] in
      while let socket = Sockets.accept(listener) {
        // A body must not wait until its head is acknowledged, which takes 40 ms.
        var isOn: Int32 = 1
        setsockopt(
          socket, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
        if !(self?.adopt(socket) ?? false) { close(socket) }
      }
      // Only here: closed by another thread its number could be somebody else's at the next accept.
      close(listener)
    }
  }

  deinit { stop() }

  /// All requests so far, in the order of their arrival.
  public var requests: [Request] { lock.withLock { received } }
  public var connectionCount: Int { lock.withLock { connections } }

  /// Ends all connections and listens no more.
  public func stop() {
    let wasStopped = lock.withLock {
      for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
      defer { isStopped = true }
      return isStopped
    }
    if wasStopped { return }
    // From now on connections are refused, and the thread that accepts comes to its end.
    shutdown(listener, Int32(SHUT_RDWR))
  }

  private func adopt(_ socket: Int32) -> Bool {
    let number: Int? = lock.withLock {
      if isStopped { return nil }
      sockets.insert(socket)
      connections += 1
      return connections - 1
    }
    guard let number else { return false }
    Thread.detachNewThread { [self] in
      serve(socket, number)
      lock.withLock {
        sockets.remove(socket)
        close(socket)
      }
    }
    return true
  }

  private func serve(_ socket: Int32, _ connection: Int) {
    var input: [UInt8] = []
    var place = 0
    while let text = Self.head(socket, &input) {
      let request = note(text, connection, place)
      let reply = Reply(socket, request, ahead: input)
      do { try script(request, reply) } catch { return }
      input = reply.ahead
      if reply.isClosing { return }
      place += 1
    }
  }

  private func note(_ text: String, _ connection: Int, _ place: Int) -> Request {
    let lines = text.split(separator: "\r\n")
    let words = (lines.first ?? "").split(separator: " ")
    let fields = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
    }
    return lock.withLock {
      let request = Request(
        number: count, connection: connection, place: place,
        method: words.count > 0 ? String(words[0]) : "",
        target: words.count > 1 ? String(words[1]) : "", fields: fields)
      count += 1
      if remembers { received.append(request) }
      return request
    }
  }

  private static func head(_ socket: Int32, _ input: inout [UInt8]) -> String? {
    var scratch = [UInt8](repeating: 0, count: 4096)
    while true {
      let text = String(decoding: input, as: UTF8.self)
      if let end = text.range(of: "\r\n\r\n") {
        input.removeFirst(text[..<end.upperBound].utf8.count)
        return String(text[..<end.lowerBound])
      }
      let count = recv(socket, &scratch, scratch.count, 0)
      guard count > 0 else { return nil }
      input += scratch[..<count]
    }
  }
}

/// The answer to one request, written piece by piece.
public final class Reply {
  let socket: Int32
  let request: ScriptedUpstream.Request
  /// Lines that stood behind the last chunk of the request's body, once it is read.
  public internal(set) var trailers: [String] = []
  /// What has come behind the request's head.
  var ahead: [UInt8]
  /// Whether the connection ends after this answer.
  public private(set) var isClosing = false

  init(_ socket: Int32, _ request: ScriptedUpstream.Request, ahead: [UInt8]) {
    (self.socket, self.request, self.ahead) = (socket, request, ahead)
  }

  /// Sends bytes; throws where the gateway has gone.
  public func send(_ bytes: some Collection<UInt8>) throws {
    let bytes = Array(bytes)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.send(
          socket, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
          Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw TestFailure.system("the gateway has gone") }
      sent += count
    }
  }

  public func head(_ status: Int, _ fields: [(String, String)]) throws {
    let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
    try send("HTTP/1.1 \(status) As Scripted\r\n\(lines)\r\n".utf8)
  }

  /// A whole answer with its length.
  public func answer(_ status: Int, _ fields: [(String, String)] = [], _ body: [UInt8]) throws {
    try head(status, fields + [("Content-Length", "\(body.count)")])
    if request.method != "HEAD" { try send(body) }
  }

  public func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }

  /// Waits until the gateway's system has all that was sent: a reset would take the rest along.
  public func waitUntilReceived() {
    _ = eventually(within: 5) {
      var left: Int32 = 0
      return ioctl(socket, UInt(TIOCOUTQ), &left) != 0 || left == 0
    }
  }

  /// Ends the connection after this answer.
  public func close() { isClosing = true }

  /// Breaks the connection now.
  public func reset() throws {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Foundation.linger>.size))
    isClosing = true
    throw TestFailure("reset")
  }

  // MARK: As a gateway answers

  /// The fields of a file as a Kubo gateway sends them.
  public static func fields(of content: TestContent, path: String? = nil) -> [(String, String)] {
    [
      ("Etag", content.etag), ("Cache-Control", "public, max-age=29030400, immutable"),
      ("X-Ipfs-Path", path ?? content.path), ("X-Ipfs-Roots", "\(content.cid)"),
      ("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"),
    ]
  }

  /// Answers as a gateway that has the content: HEAD, ranges and all.
  public func serve(_ content: TestContent, extra: [(String, String)] = []) throws {
    let fields = Self.fields(of: content) + extra
    guard let range = request["Range"], let part = Self.part(range, of: content.body.count) else {
      return try answer(200, fields, content.body)
    }
    let total = content.body.count
    let place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)"
    try answer(206, fields + [("Content-Range", place)], Array(content.body[part]))
  }

  /// The part that a range of the form `bytes=a-b`, `bytes=a-` or `bytes=-n` names.
  public static func part(_ range: String, of total: Int) -> Range<Int>? {
    let words = range.dropFirst("bytes=".count)
      .split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 2 else { return nil }
    if words[0].isEmpty { return Int(words[1]).map { max(0, total - $0)..<total } }
    guard let first = Int(words[0]), first < total else { return nil }
    return first..<min(total, (Int(words[1]) ?? total - 1) + 1)
  }
}
