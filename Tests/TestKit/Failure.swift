import Foundation

/// Why a test's surroundings, not what it tests, could not do their part.
public struct TestFailure: Error, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// With the system's words for the last error.
  static func system(_ what: String) -> TestFailure {
    TestFailure("\(what): \(String(cString: strerror(errno)))")
  }
}

/// A moment by which something must have happened.
public struct Deadline: Sendable {
  private let instant: ContinuousClock.Instant

  public init(seconds: Double) {
    instant = .now + .milliseconds(Int(seconds * 1000))
  }

  public var hasPassed: Bool { instant <= .now }

  /// For `poll`; never below 0.
  var milliseconds: Int32 {
    let left = ContinuousClock.now.duration(to: instant)
    let whole = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
    return Int32(clamping: max(0, whole))
  }
}

/// Looks again every few milliseconds until a condition holds; false when it did not in time.
public func eventually(within seconds: Double = 60, _ condition: () throws -> Bool) rethrows -> Bool
{
  let deadline = Deadline(seconds: seconds)
  while true {
    if try condition() { return true }
    if deadline.hasPassed { return false }
    usleep(5_000)
  }
}

/// Something that one thread waits for and another one lets happen.
public final class Gate: @unchecked Sendable {
  // Unchecked: `isOpen` is guarded by the condition.
  private let condition = NSCondition()
  private var isOpen = false

  public init() {}

  public func open() {
    condition.withLock {
      isOpen = true
      condition.broadcast()
    }
  }

  /// Whether it has been opened.
  public var isOpenNow: Bool { condition.withLock { isOpen } }

  /// False if the gate did not open in time.
  @discardableResult
  public func wait(seconds: Double = 120) -> Bool {
    let limit = Date(timeIntervalSinceNow: seconds)
    return condition.withLock {
      while !isOpen {
        if !condition.wait(until: limit) { return isOpen }
      }
      return true
    }
  }
}
