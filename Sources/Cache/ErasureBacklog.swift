import Base

/// Bytes that have still to be taken off the disk: what somebody waits for, what an earlier life left, and
/// what failed.
///
/// All of it is noted in the index too, for the next life; so it takes no more memory than the removals that
/// named it.
struct ErasureBacklog {
  /// What is to be done now; a batch is taken from the end.
  private(set) var due: [StoredBytes] = []
  /// What failed, until it is tried again.
  private(set) var failed: [StoredBytes] = []
  /// When that is; `never` where nothing has failed.
  private(set) var again = Instant.never
  /// Who hears when nothing is left, or that something is.
  var waiting: [WriteJob.Completion] = []

  /// Places in one step of the writer: some milliseconds.
  static let batch = 500
  /// How long after a failure it is tried again, if nobody asks for it before.
  static let pause = Interval.seconds(10)

  var all: [StoredBytes] { due + failed }

  mutating func add(_ places: [StoredBytes]) { due += places }

  mutating func takeBatch() -> [StoredBytes] {
    let batch = Array(due.suffix(Self.batch))
    due.removeLast(batch.count)
    return batch
  }

  /// Puts what could not be erased by until it is tried again: what was not even tried comes first then.
  mutating func put(_ bad: [StoredBytes], untried: [StoredBytes], now: Instant) {
    if bad.isEmpty && untried.isEmpty { return }
    failed = bad + failed + untried
    again = now + Self.pause
  }

  mutating func retry() {
    due += failed
    failed = []
    again = .never
  }
}
