/// Deadlines of one loop, sorted roughly: a wheel of ticks, each with the payloads due then.
///
/// Setting costs one append; nothing is ever cancelled. A payload that fires too early (its owner has
/// moved the deadline on) is set again by its owner, and one whose owner has gone is dropped there:
/// so a connection that works costs the wheel one entry in each timeout, not one for each request.
public struct TimerWheel<Payload> {
  private struct Entry {
    var deadline: Instant
    var payload: Payload
  }

  /// How fine deadlines are kept; a payload fires up to one tick late.
  public let tick: Interval
  private var slots: [[Entry]]
  private var current: Int64
  /// No entry lies in an earlier tick: what makes an idle turn free.
  private var earliest = Int64.max
  public private(set) var count = 0

  /// A wheel of `slots` ticks; longer deadlines go round more than once.
  public init(tick: Interval = .milliseconds(10), slots: Int = 1024, now: Instant) {
    precondition(tick.nanoseconds > 0 && slots > 0)
    self.tick = tick
    self.slots = Array(repeating: [], count: slots)
    current = now.nanoseconds / tick.nanoseconds
  }

  /// Remembers a payload until `deadline`.
  public mutating func set(_ payload: Payload, at deadline: Instant) {
    guard deadline != .never else { return }
    // Rounded up, so that nothing fires before its time.
    let due = max(
      (deadline.nanoseconds &+ tick.nanoseconds &- 1) / tick.nanoseconds, current + 1)
    // A deadline beyond the wheel is met on the way, at most one round from now, and passed over.
    earliest = min(earliest, due, current + Int64(slots.count))
    slots[Int(due % Int64(slots.count))].append(Entry(deadline: deadline, payload: payload))
    count += 1
  }

  /// Gives every payload whose deadline has come, and forgets it.
  public mutating func advance(to now: Instant, _ fired: inout [Payload]) {
    let target = now.nanoseconds / tick.nanoseconds
    guard target > current else { return }
    if target >= earliest {
      let turns = min(target - current, Int64(slots.count))
      for turn in 1...turns {
        expire(slot: Int((current + turn) % Int64(slots.count)), now, &fired)
      }
      current = target
      earliest = nextOccupied()
    }
    current = target
  }

  private mutating func expire(slot: Int, _ now: Instant, _ fired: inout [Payload]) {
    if slots[slot].isEmpty { return }
    var kept = 0
    for index in slots[slot].indices {
      if slots[slot][index].deadline <= now {
        fired.append(slots[slot][index].payload)
      } else {
        slots[slot].swapAt(kept, index)
        kept += 1
      }
    }
    count -= slots[slot].count - kept
    slots[slot].removeLast(slots[slot].count - kept)
  }

  private func nextOccupied() -> Int64 {
    if count == 0 { return .max }
    for turn in 1...Int64(slots.count)
    where !slots[Int((current + turn) % Int64(slots.count))].isEmpty {
      return current + turn
    }
    return .max
  }

  /// When the loop must look again: the first tick that may hold something due, at most `limit` on.
  public func nextTurn(now: Instant, limit: Interval) -> Instant {
    let end = now + limit
    if earliest == .max { return end }
    return min(end, max(now, Instant(nanoseconds: earliest * tick.nanoseconds)))
  }
}
