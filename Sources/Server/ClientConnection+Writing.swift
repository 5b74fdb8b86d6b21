internal import Base
internal import System
internal import Telemetry

/// Bytes of answers on their way to the client.
extension ClientConnection {
  /// Sends what the stream has gathered, as far as the socket takes it.
  func flush() {
    if transport.holdsOutput && !isBlocked && (stream.output.isEmpty || !transport.awaitsMore) {
      push()
    }
    // The connection's last words go with its last answer.
    let isLast = state == .head && !keepAlive && !peerEnded && transport.isSecure
    while !stream.output.isEmpty && !isBlocked {
      switch stream.output.withReadable({ transport.send($0, more: isLast) }) {
      case .bytes(let count):
        noteSent(count)
        stream.output.consume(count)
        if !isGiven { block() }
      case .wouldBlock: block()
      case .end, .broken: close()
      }
      if isClosed { return }
    }
  }

  @inline(__always)
  private func noteSent(_ count: Int) {
    sent &+= count
    worker.counters.add(.responseBytes, count)
  }

  /// Sends what the transport has taken and the socket has not.
  private func push() {
    switch transport.push() {
    case nil, .bytes: break
    case .wouldBlock: block()
    case .end, .broken: close()
    }
  }

  /// Whether the socket has taken all that there was to send.
  var isFlushed: Bool { stream.output.isEmpty && !transport.holdsOutput }

  /// Whether nothing waits for the socket, though the last answer may wait for the connection's last words.
  var isGiven: Bool { stream.output.isEmpty && (!transport.holdsOutput || transport.awaitsMore) }

  /// Whether a copy behind what is gathered will be sent soon; else `writable` comes.
  var takesCopies: Bool { !isBlocked }

  func offer(_ bytes: RawSpan) -> Offer {
    if isBlocked { return .taken(0) }
    let waiting = stream.output.count
    let result =
      waiting == 0
      ? transport.send(bytes)
      : stream.output.withReadable { transport.send($0, bytes) }
    switch result {
    case .bytes(let count):
      noteSent(count)
      stream.output.consume(min(count, waiting))
      if count < waiting + bytes.byteCount || transport.holdsOutput { block() }
      return .taken(max(0, count - waiting))
    case .wouldBlock:
      block()
      return .taken(0)
    case .end, .broken:
      close()
      return .gone
    }
  }

  /// Gives bytes as chunks, each whole, so that a chunk's size is always true.
  func offerChunk(_ bytes: RawSpan) -> Offer {
    var taken = 0
    while taken < bytes.byteCount && !isBlocked {
      let count = min(bytes.byteCount - taken, ServerOptions.gatheredBytes)
      stream.output.append(hex: UInt64(count))
      stream.output.append("\r\n")
      stream.output.append(bytes.extracting(taken..<taken + count))
      stream.output.append("\r\n")
      taken += count
      flush()
      if isClosed { return .gone }
    }
    return .taken(taken)
  }

  func offer(file: Int32, offset: Int64, count: Int) -> Offer {
    if isBlocked { return .taken(0) }
    let waiting = stream.output.count
    let result = stream.output.withReadable {
      transport.sendFile(behind: $0, from: file, offset: offset, count: count)
    }
    switch result {
    case .bytes(let sent):
      noteSent(sent)
      stream.output.consume(min(sent, waiting))
      if sent == waiting && waiting > 0 && (!transport.holdsOutput || transport.awaitsMore) {
        // Of the file nothing: whether the socket is full or the file at its end shows without the head.
        return offer(file: file, offset: offset, count: count)
      }
      if sent < waiting + count || transport.holdsOutput { block() }
      return .taken(max(0, sent - waiting))
    case .wouldBlock:
      block()
      return .taken(0)
    case .end: return .sourceEnded
    case .broken:
      close()
      return .gone
    }
  }
}
