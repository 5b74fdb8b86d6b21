internal import Base
internal import EventLoop
internal import Synchronization

/// Who waits for what, and how far fetches may run: the fill's state, under its lock.
extension Fill.State {
  /// Notes that a reader has nothing to do until it is woken.
  mutating func wait(_ reader: FillReader) {
    guard !reader.isWaiting else { return }
    reader.isWaiting = true
    for index in waiting.indices where waiting[index].port.number == reader.port.number {
      waiting[index].readers.append(reader)
      return
    }
    waiting.append(Fill.WaitingReaders(port: reader.port, readers: [reader]))
  }

  /// Forgets a reader that leaves.
  mutating func forget(_ reader: FillReader) {
    guard reader.isWaiting else { return }
    reader.isWaiting = false
    for index in waiting.indices where waiting[index].port.number == reader.port.number {
      waiting[index].readers.removeAll { $0 === reader }
    }
  }

}

/// How far fetches may run, and for whom.
extension Fill.State {
  /// Whether a reader is where the bytes from `start` on are soon of use to it: at most the window behind them, or
  /// as far ahead as readers wait for a fetch that is there.
  func isInReach(_ reader: FillReader, of start: Int64) -> Bool {
    if reader.position + Fill.keptWindow < start { return false }
    // Who waits for a check stands at the last byte and has not said yet what it is after; and of what comes in
    // order nothing can be had another way.
    if reader.end == .max || fetches.values.contains(where: \.isInOrder) { return true }
    let ahead = (reader.position >> Int64(sliceShift)) - (start >> Int64(sliceShift))
    return ahead <= Int64(Fill.aheadSlices)
  }

  /// Whether a slice that begins at `start` may be begun now.
  func isInWindow(_ start: Int64) -> Bool {
    if isKept { return readers.contains { isInReach($0, of: start) } }
    return slowest.map { start <= $0 + Fill.passedWindow } ?? true
  }

  /// Whether a fetch brings nobody anything any more, though there are readers; those of what comes in order
  /// go on for the check.
  func isForsaken(_ fetch: Fill.FetchPlace) -> Bool {
    guard isKept, head != nil, !readers.isEmpty, !fetch.isInOrder else { return false }
    let start = Int64(fetch.slices.lowerBound) << Int64(sliceShift)
    return !readers.contains {
      // Who has not said yet what it is after may be its reader; and the last bytes of what somebody wants may
      // come only with the next slice.
      $0.end == .max || isInReach($0, of: start) && $0.end > start - Fill.heldBackBytes
    }
  }

  var hasForsakenFetch: Bool { fetches.values.contains { isForsaken($0) } }
}

/// What is checked as a whole and not kept: all of it must come, though readers may want a part.
extension Fill.State {
  /// Whether a reader has all that it may have before the check.
  private func awaitsCheck(_ reader: FillReader) -> Bool {
    visibleEnd != .max && reader.position >= min(reader.end, totalBytes ?? .max) - 1
  }

  /// The place of the slowest reader that still takes something; nil where nobody does.
  var slowest: Int64? { readers.lazy.filter { !awaitsCheck($0) }.map(\.position).min() }

  /// Whether no reader goes as far as this: such bytes come for the check alone.
  func isForNobody(_ start: Int64) -> Bool {
    visibleEnd != .max && !isKept && readers.allSatisfy { $0.end <= start }
  }

  /// Frees what no reader is at or has still to come to.
  ///
  /// Who has not said yet what it is after may come to everything, though it waits for the last byte.
  mutating func releaseUnneeded() {
    for index in places.keys {
      let start = Int64(index) << Int64(sliceShift)
      let isNeeded = readers.contains {
        $0.end == .max || Int($0.position >> Int64(sliceShift)) <= index && start < $0.end
      }
      if !isNeeded { places[index] = nil }
    }
  }
}

extension Fill {
  /// Goes on without the disk, before any byte has come, as what is passed on: in pieces that go as soon
  /// as readers have them.
  public func passOn() {
    stopKeeping()
    state.withLock { state in
      state.sliceShift = Self.passedShift
      state.lacking = 0
      // What waited as a whole comes by and by now, its last byte excepted.
      if state.visibleEnd == 0 { state.visibleEnd = max(0, (state.totalBytes ?? 1) - 1) }
    }
  }

  /// Tells all who wait that something has changed: each worker by one message.
  func wakeReaders() {
    var own: [FillReader] = []
    var others: [WorkerPort] = []
    state.withLock { state in
      for index in state.waiting.indices where !state.waiting[index].readers.isEmpty {
        if state.waiting[index].port.number == owner.number {
          swap(&own, &state.waiting[index].readers)
          for reader in own { reader.isWaiting = false }
        } else if !state.waiting[index].isTold {
          state.waiting[index].isTold = true
          others.append(state.waiting[index].port)
        }
      }
    }
    for reader in own { ownerLoop.soon(reader, tag: 0) }
    for port in others { port.mailbox.post { [self] in wake(worker: port.number) } }
  }

  /// Wakes the readers of one worker, on its thread.
  private func wake(worker: Int) {
    var woken: [FillReader] = []
    state.withLock { state in
      for index in state.waiting.indices where state.waiting[index].port.number == worker {
        state.waiting[index].isTold = false
        swap(&woken, &state.waiting[index].readers)
      }
    }
    for reader in woken {
      // One that was woken before may have let it go.
      let isWaiting = state.withLock { _ in
        defer { reader.isWaiting = false }
        return reader.isWaiting
      }
      if isWaiting { reader.fillChanged() }
    }
  }
}
