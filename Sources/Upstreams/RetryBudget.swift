internal import Base

/// How many further tries there may be: so that servers in trouble do not get more requests for it.
///
/// Within any ten seconds at most a fifth of the requests, and ten a second beside them.
struct RetryBudget: Sendable {
  /// The window, in slots of a second.
  static let slots = 10
  static let perSecond = 10
  /// Requests for one further try.
  static let requestsPerRetry = 5

  private struct Slot {
    var second: Int64 = .min
    var requests = 0
    var retries = 0
  }

  private var window = Array(repeating: Slot(), count: slots)

  init() {}

  /// Counts a request, whatever becomes of it.
  mutating func note(at now: Instant) { window[slot(now)].requests += 1 }

  /// Takes a further try out of the budget; false where it is spent.
  mutating func take(at now: Instant) -> Bool {
    let index = slot(now)
    let oldest = window[index].second - Int64(Self.slots)
    var requests = 0
    var retries = 0
    for slot in window where slot.second > oldest {
      requests += slot.requests
      retries += slot.retries
    }
    guard retries < requests / Self.requestsPerRetry + Self.perSecond * Self.slots else {
      return false
    }
    window[index].retries += 1
    return true
  }

  /// The slot of a time, emptied where it was that of an earlier one.
  private mutating func slot(_ now: Instant) -> Int {
    let second = max(0, now.nanoseconds) / 1_000_000_000
    let index = Int(second % Int64(Self.slots))
    if window[index].second != second { window[index] = Slot(second: second) }
    return index
  }
}
