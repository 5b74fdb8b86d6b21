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
    if let furthest, reader.position >= furthest { self.furthest = nil }
    guard reader.isWaiting else { return }
    reader.isWaiting = false
    for index in waiting.indices where waiting[index].port.number == reader.port.number {
      waiting[index].readers.removeAll { $0 === reader }
    }
  }

  /// Notes how far a reader has come.
  mutating func move(_ reader: FillReader, to position: Int64) {
    let before = reader.position
    reader.position = position
    guard let furthest else { return }
    if position >= furthest {
      self.furthest = position
    } else if before >= furthest {
      self.furthest = nil
    }
  }

  /// No slice that begins further on may be begun.
  var windowEnd: Int64 {
    mutating get {
      if !isKept { return slowest.map { $0 + Fill.passedWindow } ?? .max }
      let place = furthest ?? readers.lazy.map(\.position).max() ?? 0
      furthest = place
      return place + Fill.keptWindow
    }
  }
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
  mutating func releaseUnneeded() {
    for index in places.keys {
      let start = Int64(index) << Int64(sliceShift)
      let isNeeded = readers.contains {
        Int($0.position >> Int64(sliceShift)) <= index && start < $0.end
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
