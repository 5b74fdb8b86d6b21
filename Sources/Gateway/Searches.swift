internal import Base

/// The requests of a worker for which no upstream has answered yet, and how many may be that slow.
///
/// A gateway that is asked for content which nobody has looks for it until its patience ends, and takes a
/// connection, memory and a client's place for as long. What has waited longer than content usually needs
/// is a slow search; of these there is a bounded number, so that dead CIDs take nothing from the living.
/// A decision alone, without a clock.
struct Searches {
  private struct Search {
    var ticket: Int
    var began: Instant
    /// Whether the content has failed before.
    var isDoubtful: Bool
  }

  /// After how long a search is a slow one.
  let patience: Interval
  /// How many slow ones there may be.
  let limit: Int
  /// In the order in which they began.
  private var waiting: [Search] = []
  private var nextTicket = 0

  init(patience: Interval, limit: Int) {
    self.patience = patience
    self.limit = max(0, limit)
  }

  var count: Int { waiting.count }

  /// Notes a search that begins; its ticket.
  mutating func begin(isDoubtful: Bool, at now: Instant) -> Int {
    defer { nextTicket += 1 }
    waiting.append(Search(ticket: nextTicket, began: now, isDoubtful: isDoubtful))
    return nextTicket
  }

  /// Notes that there is an answer, or that nobody waits for one any more.
  mutating func end(_ ticket: Int) {
    let place = firstPlace { $0.ticket >= ticket }
    if place < waiting.count, waiting[place].ticket == ticket { waiting.remove(at: place) }
  }

  /// How many slow ones there are.
  func slowCount(at now: Instant) -> Int { firstPlace { now - $0.began < patience } }

  /// Whether a search for what has failed before must wait until others have ended.
  func isFull(at now: Instant) -> Bool { slowCount(at: now) >= limit }

  /// Takes out the slow ones that are too many: those first whose content has failed before, then those that
  /// have waited longest.
  mutating func takeSurplus(at now: Instant) -> [Int] {
    var slow = slowCount(at: now)
    var taken: [Int] = []
    while slow > limit {
      let place = waiting[..<slow].firstIndex { $0.isDoubtful } ?? 0
      taken.append(waiting.remove(at: place).ticket)
      slow -= 1
    }
    return taken
  }

  /// When there may next be too many; nil while there are not so many at all.
  var nextSurplus: Instant? {
    waiting.count > limit ? waiting[limit].began + patience : nil
  }

  /// The first place from which on something holds that holds for all behind it.
  private func firstPlace(where holds: (Search) -> Bool) -> Int {
    var low = 0
    var high = waiting.count
    while low < high {
      let middle = (low + high) / 2
      if holds(waiting[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
