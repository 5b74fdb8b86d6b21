public import Base
internal import System

/// A few threads that wait for the disk, so that no worker does.
public final class DiskQueue: Sendable {
  public typealias Item = @Sendable () -> Void

  private struct Waiting {
    var items: [Item?] = []
    var next = 0
    var isStopping = false
  }

  /// What may wait.
  ///
  /// A disk slower than that is treated as broken by those who ask.
  static let bound = 4096

  private let waiting = Monitor(Waiting())
  private let simulated: SimulatedDisk?
  private let threads: [Runner]

  private final class Runner: Sendable {
    let thread: Thread

    init(_ thread: consuming Thread) {
      self.thread = thread
    }
  }

  /// Starts the threads; they end with `stop`.
  ///
  /// - Parameter name: What the threads are called, before a dash and their number.
  ///
  /// Throws where the system has none left.
  public init(threads count: Int, name: String = "disk") throws(Fault) {
    let queue = waiting
    var started: [Runner] = []
    for number in 0..<count {
      started.append(Runner(try Thread(name: "\(name)-\(number)") { Self.serve(queue) }))
    }
    threads = started
    simulated = nil
  }

  /// A queue without threads, whose items run in simulated time.
  public init(in network: SimulatedNetwork) {
    simulated = SimulatedDisk(network)
    threads = []
  }

  deinit { stop() }

  /// Runs `item` on one of the threads; false where too much waits already.
  public func submit(_ item: @escaping Item) -> Bool {
    if let simulated { return simulated.submit(item) }
    let isTaken = waiting.with { waiting in
      guard waiting.items.count - waiting.next < Self.bound, !waiting.isStopping else {
        return false
      }
      waiting.items.append(item)
      return true
    }
    if isTaken { waiting.signal() }
    return isTaken
  }

  /// Lets the threads end after what waits already.
  public func stop() {
    waiting.with { $0.isStopping = true }
    waiting.broadcast()
  }

  private static func serve(_ queue: Monitor<Waiting>) {
    while let item = nextItem(queue) { item() }
  }

  private static func nextItem(_ queue: Monitor<Waiting>) -> Item? {
    queue.wait { waiting -> Item?? in
      if waiting.next < waiting.items.count {
        let item = waiting.items[waiting.next]
        // What has run holds nothing, also where the queue is never empty.
        waiting.items[waiting.next] = nil
        waiting.next += 1
        if waiting.next == waiting.items.count || waiting.next == bound {
          waiting.items.removeFirst(waiting.next)
          waiting.next = 0
        }
        return .some(item)
      }
      return waiting.isStopping ? .some(nil) : nil
    } ?? nil
  }
}
