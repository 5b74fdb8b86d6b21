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
      if !isKept { return (readers.lazy.map(\.position).min() ?? 0) + Fill.passedWindow }
      let place = furthest ?? readers.lazy.map(\.position).max() ?? 0
      furthest = place
      return place + Fill.keptWindow
    }
  }
}

extension Fill {
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
