public import Base
internal import CLinux

/// What came of asking a socket for bytes or giving it some.
public enum IOResult: Equatable, Sendable {
  /// So many bytes moved, at least one.
  case bytes(Int)
  /// Nothing now; readiness will be told.
  case wouldBlock
  /// The peer has ended its side.
  case end
  /// The connection is broken; the system's error number.
  case broken(Int32)

  @inline(__always)
  init(_ count: Int) {
    if count > 0 {
      self = .bytes(count)
    } else if count == 0 {
      self = .end
    } else {
      let error = Int32(truncatingIfNeeded: -count)
      self =
        error == SystemError.again || error == SystemError.interrupted
        ? .wouldBlock : .broken(error)
    }
  }
}

/// The system calls on stream sockets, on bare descriptors: the loop owns and closes them.
public enum SocketCalls {
  /// Binds and listens; non-blocking.
  ///
  /// Throws `.exhausted` or `.io` with the error number.
  public static func listen(
    on address: SocketAddress, reusePort: Bool, backlog: Int32 = 4096
  ) throws(Fault) -> Int32 {
    var raw = address.raw
    let descriptor = unsafe linux_listen(&raw, reusePort, backlog)
    guard descriptor >= 0 else { throw Fault(.io, .own, errno: -descriptor) }
    return descriptor
  }

  /// Throws where somebody listens on an address already.
  ///
  /// Sockets that share a port (SO_REUSEPORT) also share it with another process of the same user: who
  /// wants it alone must ask before. Port 0 is always free.
  public static func checkFree(_ address: SocketAddress) throws(Fault) {
    close(try listen(on: address, reusePort: false, backlog: 1))
  }

  /// The address a socket is bound to; tells the port where 0 was asked for.
  public static func localAddress(_ descriptor: Int32) -> SocketAddress {
    var raw = linux_address()
    _ = unsafe linux_local_address(descriptor, &raw)
    return SocketAddress(raw: raw)
  }

  /// Bytes sent that the peer's system has not acknowledged yet (tcp(7), SIOCOUTQ); 0 where that is not known.
  public static func unacknowledged(_ descriptor: Int32) -> Int {
    max(0, Int(linux_unacknowledged(descriptor)))
  }

  public static func accept(_ listener: Int32) -> Result<(Int32, SocketAddress), Fault> {
    var raw = linux_address()
    let descriptor = unsafe linux_accept(listener, &raw)
    guard descriptor >= 0 else {
      let error = -descriptor
      let exhausted =
        error == SystemError.tooManyFiles || error == SystemError.tooManyFilesInSystem
        || error == SystemError.noBuffers || error == SystemError.noMemory
      return .failure(Fault(exhausted ? .exhausted : .reset, .own, errno: error))
    }
    return .success((descriptor, SocketAddress(raw: raw)))
  }

  /// Begins to connect, without waiting.
  public static func connect(to address: SocketAddress) throws(Fault) -> Int32 {
    var raw = address.raw
    let descriptor = unsafe linux_connect(&raw)
    guard descriptor >= 0 else { throw Fault(.connect, .upstream, retry: .yes, errno: -descriptor) }
    return descriptor
  }

  /// The error of a connect that has come to its end, 0 where it succeeded.
  public static func pendingError(_ descriptor: Int32) -> Int32 { linux_socket_error(descriptor) }

  @inline(__always)
  public static func receive(
    _ descriptor: Int32, into room: UnsafeMutableRawBufferPointer
  ) -> IOResult {
    IOResult(unsafe linux_receive(descriptor, room.baseAddress, room.count))
  }

  /// What `receive` would give; the bytes stay where they are.
  public static func peek(
    _ descriptor: Int32, into room: UnsafeMutableRawBufferPointer
  ) -> IOResult {
    IOResult(unsafe linux_peek(descriptor, room.baseAddress, room.count))
  }

  @inline(__always)
  public static func send(_ descriptor: Int32, _ bytes: RawSpan, more: Bool) -> IOResult {
    unsafe bytes.withUnsafeBytes { raw in
      IOResult(unsafe linux_send(descriptor, raw.baseAddress, raw.count, more))
    }
  }

  @inline(__always)
  public static func send(
    _ descriptor: Int32, _ first: RawSpan, _ second: RawSpan, more: Bool
  ) -> IOResult {
    unsafe first.withUnsafeBytes { head in
      unsafe second.withUnsafeBytes { body in
        IOResult(
          unsafe linux_send_two(
            descriptor, head.baseAddress, head.count, body.baseAddress, body.count, more))
      }
    }
  }

  @inline(__always)
  public static func sendFile(
    _ descriptor: Int32, from file: Int32, offset: Int64, count: Int
  ) -> IOResult {
    IOResult(linux_sendfile(descriptor, file, offset, count))
  }

  /// Says that nothing more will be sent; the peer sees the end and may still be read.
  public static func shutdownWrite(_ descriptor: Int32) { linux_shutdown_write(descriptor) }

  /// Makes `close` send a reset instead of an orderly end.
  public static func resetOnClose(_ descriptor: Int32) { linux_reset_on_close(descriptor) }

  public static func close(_ descriptor: Int32) {
    _ = linux_socket_close(descriptor)
  }
}
