import Base
import Synchronization
import System

/// The jobs that wait for the cache writer, bounded by the memory they hold.
final class WriteQueue: Sendable {
  struct State: Sendable {
    var jobs: [WriteJob] = []
    var isStopping = false
  }

  private let state = Monitor(State())
  private let isUnannounced = Atomic<Bool>(false)
  private let limit: Int
  private let counters: StorageCounters

  init(limit: Int, counters: StorageCounters) {
    self.limit = limit
    self.counters = counters
  }

  /// Takes a job, unless the bound or the end of the writer is reached.
  ///
  /// The writer is woken at once, or by `announce`, which is one wake-up for many jobs.
  func submit(_ job: WriteJob, isAnnounced: Bool) -> Bool {
    let bytes = job.bytes
    let isTaken = state.with { state in
      // A single job larger than the bound passes when it is alone.
      let queued = counters.queuedBytes.load(ordering: .relaxed)
      guard !state.isStopping, queued == 0 || queued + bytes <= limit else { return false }
      counters.queuedBytes.add(bytes, ordering: .relaxed)
      state.jobs.append(job)
      return true
    }
    if isTaken {
      if isAnnounced { isUnannounced.store(true, ordering: .releasing) } else { state.signal() }
    }
    return isTaken
  }

  /// Wakes the writer, if there are jobs that it has not been told of.
  func announce() {
    guard isUnannounced.load(ordering: .relaxed),
      isUnannounced.exchange(false, ordering: .acquiring)
    else { return }
    state.signal()
  }

  /// Says that a job's memory is free again.
  func finish(_ job: WriteJob) {
    counters.queuedBytes.subtract(job.bytes, ordering: .relaxed)
  }

  /// Waits for jobs, until a moment at most, and takes all that are there.
  func take(until deadline: Instant) -> (jobs: [WriteJob], isStopping: Bool) {
    let taken: ([WriteJob], Bool)? = state.wait(until: deadline) { state in
      guard !state.jobs.isEmpty || state.isStopping else { return nil }
      defer { state.jobs = [] }
      return (state.jobs, state.isStopping)
    }
    return taken ?? ([], false)
  }

  /// Waits while jobs pile up, until a moment or the writer's end.
  func pause(until deadline: Instant) {
    _ = state.wait(until: deadline) { state in state.isStopping ? true : nil }
  }

  /// Takes the oldest job, without waiting.
  func takeOne() -> WriteJob? {
    state.with { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }
  }

  func stop() {
    state.with { $0.isStopping = true }
    state.broadcast()
  }
}
