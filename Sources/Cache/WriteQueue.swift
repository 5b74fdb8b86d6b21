import Base
import Synchronization
import System

/// The jobs that wait for the cache writer, bounded by the memory they hold.
final class WriteQueue: Sendable {
  struct State: Sendable {
    var jobs: [WriteJob] = []
    /// How many of them add no bytes.
    var small = 0
    var isStopping = false
  }

  private let state = Monitor(State())
  private let isUnannounced = Atomic<Bool>(false)
  private let limit: Int
  private let counters: StorageCounters

  /// Jobs that add no bytes and wait: far more than all workers' drops and all removals at a time.
  static let smallLimit = 32_768

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
      guard !state.isStopping else { return false }
      if job.addsBytes {
        // A single job larger than the bound passes when it is alone.
        let queued = counters.queuedBytes.load(ordering: .relaxed)
        guard queued == 0 || queued + bytes <= limit else { return false }
      } else {
        // What takes content away does not wait for room for content.
        guard state.small < Self.smallLimit else { return false }
        state.small += 1
      }
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
      defer { (state.jobs, state.small) = ([], 0) }
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
    state.with { state in
      guard !state.jobs.isEmpty else { return nil }
      let job = state.jobs.removeFirst()
      if !job.addsBytes { state.small -= 1 }
      return job
    }
  }

  func stop() {
    state.with { $0.isStopping = true }
    state.broadcast()
  }
}
