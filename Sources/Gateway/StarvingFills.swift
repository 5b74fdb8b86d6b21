internal import Base
internal import Cache
internal import EventLoop

/// The fills of one worker that wait for memory, served in the order in which they came.
///
/// The budget is all workers' and tells nobody when some of it comes free: while anybody waits, it
/// is looked at every few milliseconds, which no release of memory can miss.
final class StarvingFills: EventHandler {
  /// What a driver waits for.
  enum Hunger {
    case none
    /// In the queue since then.
    case waiting(Instant)
    /// Told to ask again; hungry since then.
    case served(Instant)
  }

  private let loop: Loop
  private let budget: SliceBudget
  private var queue: [(driver: FillDriver, bytes: Int)] = []
  private var handle = Handle.none
  /// What is claimed for the first of the queue, and whether it has been told to take it.
  private var claim = 0
  private var isClaimServed = false

  init(_ loop: Loop, _ budget: SliceBudget) {
    self.loop = loop
    self.budget = budget
  }

  /// Whether it is a driver's turn: nobody waits, or it has waited.
  func mayAsk(_ driver: FillDriver) -> Bool {
    if case .served = driver.hunger {
      if isClaimServed { endClaim() }
      return true
    }
    return queue.isEmpty
  }

  private func endClaim() {
    budget.unclaim(claim)
    claim = 0
    isClaimServed = false
  }

  /// Queues a driver that lacks so many bytes; at the front where they were gone when it came.
  func add(_ driver: FillDriver, bytes: Int) {
    switch driver.hunger {
    case .waiting: return
    case .served(let since):
      driver.hunger = .waiting(since)
      queue.insert((driver, bytes), at: 0)
    case .none:
      driver.hunger = .waiting(loop.now)
      queue.append((driver, bytes))
    }
    if handle == .none {
      handle = loop.enrol(self)
      setTimer()
    }
  }

  private func setTimer() {
    loop.setTimer(handle, tag: 0, at: loop.now + GatewayOptions.memoryPause)
  }

  override func deadline(_ tag: UInt32) {
    // Who was told and did not take it has no use for it any more.
    if isClaimServed { endClaim() }
    serve()
    if let first = queue.first {
      if claim == 0, budget.claim(first.bytes) { claim = first.bytes }
    } else if claim > 0 && !isClaimServed {
      endClaim()
    }
    if queue.isEmpty && claim == 0 {
      close()
    } else {
      setTimer()
    }
  }

  private func serve() {
    var free = budget.freeBytes(claiming: claim)
    var count = 0
    for (driver, bytes) in queue {
      guard case .waiting(let since) = driver.hunger else { break }
      let isLate = loop.now - since >= GatewayOptions.memoryPatience
      guard isLate || bytes <= free else { break }
      count += 1
      free -= isLate ? 0 : bytes
    }
    if count > 0 && claim > 0 { isClaimServed = true }
    let chosen = queue[..<count]
    queue.removeFirst(count)
    for (driver, _) in chosen {
      guard case .waiting(let since) = driver.hunger else { continue }
      if loop.now - since >= GatewayOptions.memoryPatience {
        driver.hunger = .none
        driver.starved()
      } else {
        driver.hunger = .served(since)
        driver.roomMade()
      }
    }
  }

  /// Serves nobody any more.
  func close() {
    queue = []
    if claim > 0 { endClaim() }
    guard handle != .none else { return }
    loop.dismiss(handle)
    handle = .none
  }
}
