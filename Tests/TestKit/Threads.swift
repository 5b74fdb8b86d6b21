import Foundation

/// What several threads of a test found, in the order in which they found it.
public final class Collected<Element: Sendable>: @unchecked Sendable {
  // Unchecked: guarded by the lock.
  private let lock = NSLock()
  private var found: [Element] = []

  public init() {}

  public func add(_ element: Element) { lock.withLock { found.append(element) } }

  public var all: [Element] { lock.withLock { found } }
}

/// Runs a piece of work on so many threads, each with its number, and waits for all of them.
public func onThreads(
  _ count: Int, seconds: Double = 300, _ work: @escaping @Sendable (Int) throws -> Void
) throws {
  let errors = Collected<any Error>()
  let gates = (0..<count).map { _ in Gate() }
  for number in 0..<count {
    Thread.detachNewThread {
      do { try work(number) } catch { errors.add(error) }
      gates[number].open()
    }
  }
  for gate in gates where !gate.wait(seconds: seconds) { throw TestFailure("threads do not end") }
  if let error = errors.all.first { throw error }
}
