internal import Base
internal import Cache
internal import EventLoop

/// What was read from the disk for one answer, and leaves memory after it.
extension Exchange {
  /// Notes that a slice is read from the disk for this answer; once for each slice.
  func noteBroughtIn(_ stored: StoredSlice) {
    if let broughtIn, broughtIn.slice.slice == stored.slice { return }
    letGo()
    let isPassing = worker.gateway.passing.noteReading(of: stored.slice, count: stored.count)
    broughtIn = (stored, isPassing)
  }

  /// Drops the slice last read from the disk from memory, if nobody else has had use of it.
  ///
  /// By a disk thread: the kernel may ask all cores for it.
  func letGo() {
    guard let (stored, isPassing) = broughtIn else { return }
    broughtIn = nil
    let slice = stored.slice
    guard isPassing, worker.gateway.passing.isPassing(slice) else { return }
    worker.residency.forget(slice.segment, Int(slice.offset))
    let storage = worker.gateway.storage
    // A segment that is gone takes no memory.
    guard let pin = try? storage.pin(slice.segment) else { return }
    let isTaken = worker.gateway.disk.submit {
      storage.letGo(pin, at: Int(slice.offset), count: stored.count)
      storage.unpin(pin)
    }
    if !isTaken { storage.unpin(pin) }
  }
}
