import Foundation

/// `sluice origin` many times over, all with one content, each at a loopback address of its own: to be
/// killed, halted, throttled and started again.
public final class OriginFarm: @unchecked Sendable {
  // Unchecked: the children are guarded by the lock; the rest is constant.

  public enum State: Equatable, Sendable {
    case running, halted, throttled, gone
  }

  private let folder: TemporaryFolder
  private let lock = NSLock()
  private var children: [ChildProcess] = []
  private var halted: Set<Int> = []
  private var throttled: Set<Int> = []
  private var starts = 0
  public let addresses: [String]

  /// Starts so many, and waits until all of them answer.
  public init(car: [UInt8], count: Int) throws {
    folder = try TemporaryFolder()
    try folder.write(car, to: "content.car")
    let port = try freePort()
    addresses = (1...count).map { "127.0.1.\($0):\(port)" }
    for index in addresses.indices { children.append(try start(index)) }
    let isUp = eventually(within: 60) {
      (0..<starts).allSatisfy { folder.text(of: "errors-\($0)").contains(" listens on ") }
    }
    if !isUp { throw TestFailure("the origins do not start: \(folder.text(of: "errors-0"))") }
  }

  private func start(_ index: Int) throws -> ChildProcess {
    defer { starts += 1 }
    return try ChildProcess(
      Program.path, ["origin", "--car", "content.car", "--listen", addresses[index]],
      in: folder.path, output: folder.file("output-\(starts)"),
      errors: folder.file("errors-\(starts)"))
  }

  public func state(_ index: Int) -> State {
    lock.withLock {
      if !children[index].isRunning { return .gone }
      if halted.contains(index) { return .halted }
      return throttled.contains(index) ? .throttled : .running
    }
  }

  /// Ends one at once.
  public func kill(_ index: Int) {
    lock.withLock {
      children[index].kill()
      halted.remove(index)
      throttled.remove(index)
    }
  }

  /// Stops one where it is: it is connected to, and does not answer.
  public func halt(_ index: Int) {
    lock.withLock {
      children[index].send(SIGSTOP)
      halted.insert(index)
      throttled.remove(index)
    }
  }

  /// Leaves one a tenth of the time to work in, until it is revived.
  public func throttle(_ index: Int) {
    _ = lock.withLock { throttled.insert(index) }
    // It must not keep the farm, whose end is the children's.
    Foundation.Thread.detachNewThread { [weak self] in
      while self?.set(index, mayRun: false) ?? false {
        usleep(90_000)
        guard self?.set(index, mayRun: true) ?? false else { return }
        usleep(10_000)
      }
    }
  }

  /// Stops or continues one that is throttled; false where it is not any more.
  private func set(_ index: Int, mayRun: Bool) -> Bool {
    lock.withLock {
      guard throttled.contains(index), children[index].isRunning else { return false }
      children[index].send(mayRun ? SIGCONT : SIGSTOP)
      return true
    }
  }

  /// Has one answer again, whatever has become of it; returns at once.
  public func revive(_ index: Int) throws {
    try lock.withLock {
      if children[index].isRunning {
        children[index].send(SIGCONT)
      } else {
        children[index] = try start(index)
      }
      halted.remove(index)
      throttled.remove(index)
    }
  }

  /// Waits until one that was started again takes connections.
  public func waitUntilUp(_ index: Int) throws {
    let parts = addresses[index].split(separator: ":").map(String.init)
    guard let port = UInt16(parts[1]) else { throw TestFailure("no port") }
    let isUp = try eventually(within: 60) { try Sockets.accepts(parts[0], port) }
    if !isUp { throw TestFailure("\(addresses[index]) does not listen") }
  }
}

extension Sockets {
  /// Whether somebody listens at an IPv4 address.
  static func accepts(_ host: String, _ port: UInt16) throws -> Bool {
    let socket = try make()
    defer { close(socket) }
    var address = loopback(port)
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
      throw TestFailure("\(host) is no address")
    }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Foundation.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    return result == 0
  }
}
