import Foundation

/// The few calls on IPv4 loopback sockets that the tests' clients and servers make.
enum Sockets {
  static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  static func make(nonBlocking: Bool = false) throws -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = socket(
      AF_INET, nonBlocking ? kind | Int32(SOCK_NONBLOCK.rawValue) : kind, 0)
    guard socket >= 0 else { throw TestFailure.system("no socket") }
    return socket
  }

  /// Connects; a non-blocking socket may still be on its way.
  static func connect(_ socket: Int32, to port: UInt16) throws {
    var address = loopback(port)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Foundation.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 || errno == EINPROGRESS else { throw TestFailure.system("no connection") }
  }

  /// Takes a port of the system's choice, and listens there unless it is to refuse everybody.
  static func listen(_ listens: Bool = true) throws -> (socket: Int32, port: UInt16) {
    let socket = try make()
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 && (!listens || Foundation.listen(socket, 512) == 0)
          && getsockname(socket, $0, &length) == 0
      }
    }
    guard bound else {
      close(socket)
      throw TestFailure.system("cannot listen")
    }
    return (socket, UInt16(bigEndian: address.sin_port))
  }

  /// Held where a descriptor is for a moment one that a program would inherit, and where programs are started.
  ///
  /// A program that has a connection as well keeps it open when this process closes it.
  static let inheritance = NSLock()

  /// The next connection of a listener that nobody else accepts from; nil once that is shut down.
  static func accept(_ listener: Int32) -> Int32? {
    while true {
      // The lock must not be held while nobody comes.
      guard wait(listener, for: POLLIN, until: Deadline(seconds: 60)) else { continue }
      let (socket, error) = inheritance.withLock {
        let socket = Foundation.accept(listener, nil, nil)
        let error = errno
        if socket >= 0 { _ = fcntl(socket, F_SETFD, FD_CLOEXEC) }
        return (socket, error)
      }
      if socket >= 0 { return socket }
      if error == EINVAL { return nil }
      usleep(1_000)
    }
  }

  /// Waits for an event; false where none came in time.
  static func wait(_ socket: Int32, for events: Int32, until deadline: Deadline) -> Bool {
    while true {
      var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
      let found = poll(&entry, 1, deadline.milliseconds)
      if found > 0 { return true }
      if found == 0 || errno != EINTR { return false }
    }
  }

  /// Closes with a reset instead of a clean end.
  static func reset(_ socket: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Foundation.linger>.size))
    close(socket)
  }
}

/// A port that refuses everybody, for as long as the object lives.
public final class DeadPort: Sendable {
  public let port: UInt16
  private let socket: Int32

  public init() throws { (socket, port) = try Sockets.listen(false) }

  deinit { close(socket) }
}

/// A port that was free a moment ago.
public func freePort() throws -> UInt16 { try DeadPort().port }
