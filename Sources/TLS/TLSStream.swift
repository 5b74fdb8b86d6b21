internal import Base
public import System

/// A socket that carries ciphertext, as a loop has it.
public protocol CiphertextSocket {
  func receive(into room: UnsafeMutableRawBufferPointer) -> IOResult
  func send(_ bytes: RawSpan) -> IOResult
  /// Sends two runs of bytes as one.
  func send(_ first: RawSpan, _ second: RawSpan) -> IOResult
}

/// A session and its socket's ciphertext: what a socket's calls look like with TLS in between.
///
/// Many records go in one `send`. What the socket does not take is held, and counts as sent: the stream
/// takes nothing more until `push` has got rid of it. So it holds at most what one call of `encrypt` makes.
public final class TLSStream {
  public let session: TLSSession
  private let buffers: TLSBuffers
  /// Records that the socket has not taken, or that wait for others to go with.
  private var held = ByteBuffer(capacity: 64)
  /// The socket refused some of what is held; else it waits for more.
  private var isBlocked = false
  /// How much is encrypted for one `send`: less where the socket took less, so that a client who reads
  /// slowly has little encrypted for it.
  private var portion = firstPortion

  /// What is encrypted for a client of whom nothing is known.
  private static let firstPortion = 2 * TLSSession.recordBytes
  /// What stands before a file's bytes goes in their records if it is shorter.
  private static let longHead = 4 * 1024
  /// Whether plaintext has come.
  private var isInUse = false

  /// The most that is held: a portion in records, and some words of the protocol itself.
  static let mostHeld = TLSSession.mostPlaintext + 64 * 1024

  public init(_ session: TLSSession, _ buffers: TLSBuffers) {
    self.session = session
    self.buffers = buffers
  }

  /// Whether records wait for the socket, or for what is sent next.
  public var holdsOutput: Bool { !held.isEmpty }
  /// Whether they wait for what is sent next alone: `push` sends them without it.
  public var awaitsMore: Bool { !held.isEmpty && !isBlocked }

  // MARK: Receiving

  /// Receives plaintext; fewer bytes than the room holds mean that nothing more is there now.
  ///
  /// `.end` where the peer said so; an end of the connection without a word is `.broken`, since anybody on
  /// the way could have made it (RFC 8446, section 6.1). Handshakes go on in here. Where a server's last words of one
  /// come with the first plaintext, they wait for the answer to that (`awaitsMore`).
  public func receive(
    into room: UnsafeMutableRawBufferPointer, from socket: some CiphertextSocket
  ) -> IOResult {
    var written = 0
    if session.hasUnread { written = unsafe session.decrypt(RawSpan(), into: room) }
    var result = IOResult.wouldBlock
    while written < room.count && session.state == .open {
      var offered = 0
      _ = unsafe buffers.input.fill { tail in
        offered = tail.count
        result = unsafe socket.receive(into: tail)
        if case .bytes(let count) = result { return count }
        return 0
      }
      guard case .bytes(let count) = result else { break }
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[written...])
      written += buffers.input.withReadable { unsafe session.decrypt($0, into: rest) }
      buffers.input.clear()
      // The socket is drained; its end, if it is near, is another call's. With nothing to give there is no
      // other call: the end of the connection may stand right behind a part of a record.
      if count < offered && written > 0 { break }
    }
    if !buffers.output.isEmpty {
      if written > 0 && !isInUse && held.isEmpty && session.isServer && session.state == .open {
        hold()
      } else if case .broken(let error) = flush(to: socket) {
        result = .broken(error)
      }
    }
    if written > 0 { isInUse = true }
    // What the peer has us say without taking it has an end too.
    if held.count > Self.mostHeld { return .broken(SystemError.protocolError) }
    if written > 0 { return .bytes(written) }
    switch session.state {
    case .peerClosed: return .end
    case .failed: return .broken(SystemError.protocolError)
    case .open: break
    }
    switch result {
    case .broken(let error): return .broken(error)
    case .end: return .broken(SystemError.connectionReset)
    case .bytes, .wouldBlock: return .wouldBlock
    }
  }

  // MARK: Sending

  /// Makes the client's first flight.
  public func start(to socket: some CiphertextSocket) -> IOResult {
    session.start()
    return flush(to: socket)
  }

  /// Sends what is held; nil once nothing is.
  public func push(to socket: some CiphertextSocket) -> IOResult? {
    if held.isEmpty { return nil }
    switch flush(to: socket) {
    case .bytes: return held.isEmpty ? nil : .wouldBlock
    case let other: return other
    }
  }

  /// Encrypts and sends; with `more` the last records wait for what follows at once.
  public func send(
    _ bytes: RawSpan, more: Bool = false, to socket: some CiphertextSocket
  ) -> IOResult {
    if let refusal = refusal(socket) { return refusal }
    var taken = 0
    while taken < bytes.byteCount {
      let count = min(portion, bytes.byteCount - taken)
      let waits = more && taken + count == bytes.byteCount
      let part = bytes.extracting(taken..<taken + count)
      guard session.encrypt(part, lending: !waits) else { return broken() }
      taken += count
      if waits {
        hold()
      } else if case .broken(let error) = flush(to: socket) {
        return .broken(error)
      }
      if isBlocked { break }
    }
    return .bytes(taken)
  }

  /// Sends two runs of bytes as one.
  public func send(
    _ first: RawSpan, _ second: RawSpan, to socket: some CiphertextSocket
  ) -> IOResult {
    if first.byteCount + second.byteCount <= TLSSession.recordBytes {
      // One record for both.
      buffers.plain.clear()
      buffers.plain.append(first)
      buffers.plain.append(second)
      return buffers.plain.withReadable { send($0, to: socket) }
    }
    let before = send(first, more: true, to: socket)
    guard case .bytes(first.byteCount) = before, !isBlocked else { return before }
    switch send(second, to: socket) {
    case .bytes(let count): return .bytes(first.byteCount + count)
    case .broken(let error): return .broken(error)
    case .wouldBlock, .end: return before
    }
  }

  /// Sends a file's range, which was seen in memory a moment ago, and `head` before it; what is taken counts both.
  ///
  /// `.end` where the file ends before the offset; nothing of the head is sent then. What has left memory since
  /// is waited for, as `sendfile` does.
  public func sendFile(
    _ file: FileReference, offset: Int, count: Int, behind head: RawSpan = RawSpan(),
    to socket: some CiphertextSocket
  ) -> IOResult {
    if let refusal = refusal(socket) { return refusal }
    if count == 0 { return send(head, to: socket) }
    if head.byteCount >= Self.longHead { return send(head, file, offset, count, to: socket) }
    var taken = 0
    while taken < count && !isBlocked {
      buffers.plain.clear()
      // In the same records, which saves one.
      if taken == 0 { buffers.plain.append(head) }
      let wanted = min(portion - buffers.plain.count, count - taken)
      var got = 0
      do throws(Fault) {
        got = try read(file, offset + taken, wanted)
      } catch {
        return .broken(error.errno)
      }
      if got == 0 {
        // What waited for this range has to go without it.
        if !held.isEmpty, case .broken(let error) = flush(to: socket) { return .broken(error) }
        return taken > 0 ? .bytes(head.byteCount + taken) : .end
      }
      guard buffers.plain.withReadable({ session.encrypt($0, lending: true) }) else {
        return broken()
      }
      taken += got
      if case .broken(let error) = flush(to: socket) { return .broken(error) }
    }
    return .bytes(head.byteCount + taken)
  }

  /// The same with a head that is better not copied, answers to other requests before it.
  private func send(
    _ head: RawSpan, _ file: FileReference, _ offset: Int, _ count: Int,
    to socket: some CiphertextSocket
  ) -> IOResult {
    let before = send(head, more: true, to: socket)
    guard case .bytes(head.byteCount) = before, !isBlocked else { return before }
    switch sendFile(file, offset: offset, count: count, to: socket) {
    case .bytes(let count): return .bytes(head.byteCount + count)
    case .broken(let error): return .broken(error)
    case .wouldBlock, .end: return before
    }
  }

  /// Reads behind what is in the buffer for plaintext.
  private func read(_ file: FileReference, _ offset: Int, _ wanted: Int) throws(Fault) -> Int {
    return try unsafe buffers.plain.fill(atLeast: wanted) { tail throws(Fault) in
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: tail[..<wanted])
      switch unsafe file.readNow(at: offset, into: room) {
      case .bytes(let count): return count
      case .wouldBlock: return try unsafe file.read(at: offset, into: room)
      case .fault(let fault): throw fault
      }
    }
  }

  /// Says that nothing more will be sent (`close_notify`).
  public func close(to socket: some CiphertextSocket) {
    session.close()
    _ = flush(to: socket)
  }

  // MARK: What the socket takes

  /// What keeps bytes from being taken; nil where nothing does.
  private func refusal(_ socket: some CiphertextSocket) -> IOResult? {
    if session.state == .failed { return .broken(SystemError.protocolError) }
    guard isBlocked else { return nil }
    let result = push(to: socket)
    return isBlocked ? result : nil
  }

  private func broken() -> IOResult {
    buffers.output.clear()
    return .broken(SystemError.protocolError)
  }

  private func hold() {
    buffers.output.withReadable { held.append($0) }
    buffers.output.clear()
  }

  /// Gives the socket all records there are, and holds what it does not take.
  private func flush(to socket: some CiphertextSocket) -> IOResult {
    let older = held.count
    if older > 0 { session.endLending(keepingFrom: 0) }
    let copied = buffers.output.count
    let total = older + copied + session.lentBytes
    if total == 0 { return .bytes(0) }
    let result: IOResult =
      if older == 0 {
        buffers.output.withReadable { first in
          session.withLent { Self.send(first, $0, to: socket) }
        }
      } else {
        held.withReadable { first in
          buffers.output.withReadable { Self.send(first, $0, to: socket) }
        }
      }
    switch result {
    case .bytes(total):
      session.endLending(keepingFrom: session.lentBytes)
      buffers.output.clear()
      release()
      isBlocked = false
      // Small answers say nothing of how much the socket takes.
      if total >= portion { portion = min(portion * 2, TLSSession.mostPlaintext) }
    case .bytes(let count):
      held.consume(min(count, older))
      buffers.output.consume(min(max(0, count - older), copied))
      session.endLending(keepingFrom: max(0, count - older - copied))
      block(after: count)
    case .wouldBlock:
      session.endLending(keepingFrom: 0)
      block(after: 0)
    case .end, .broken:
      session.endLending(keepingFrom: session.lentBytes)
      buffers.output.clear()
      release()
      return result == .end ? .broken(SystemError.connectionReset) : result
    }
    return result
  }

  private static func send(
    _ first: RawSpan, _ second: RawSpan, to socket: some CiphertextSocket
  ) -> IOResult {
    if second.isEmpty { return socket.send(first) }
    if first.isEmpty { return socket.send(second) }
    return socket.send(first, second)
  }

  private func block(after count: Int) {
    hold()
    isBlocked = true
    portion = min(max(count, TLSSession.recordBytes), portion)
  }

  /// Lets the memory of what was held go, if it is much.
  private func release() {
    if held.capacity > TLSSession.recordBytes {
      held = ByteBuffer(capacity: 64)
    } else {
      held.clear()
    }
  }
}
