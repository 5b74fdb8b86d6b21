internal import Base
internal import Cache
internal import EventLoop
internal import Telemetry

/// The checks of stored slices that a worker has under way, and who waits for each.
struct SliceChecks {
  private var waiting: [Slice: [(exchange: Exchange, life: UInt64)]] = [:]

  /// Has an exchange wait for a slice's check; false where it is the first, and the check not begun.
  mutating func join(_ slice: Slice, _ exchange: Exchange) -> Bool {
    let isUnderWay = waiting[slice] != nil
    waiting[slice, default: []].append((exchange, exchange.life))
    return isUnderWay
  }

  /// Ends a check, and gives who waited for it.
  mutating func end(_ slice: Slice) -> [(exchange: Exchange, life: UInt64)] {
    waiting.removeValue(forKey: slice) ?? []
  }
}

extension GatewayWorker {
  /// Has a large slice read and held against its checksum by a disk thread, once for all exchanges
  /// that wait for it here; they hear of it by `checkEnded`.
  ///
  /// Takes the pin over. False where the disk threads take no more.
  func check(_ stored: StoredSlice, _ pin: SegmentPin, for exchange: Exchange) -> Bool {
    let storage = gateway.storage
    if checks.join(stored.slice, exchange) {
      storage.unpin(pin)
      return true
    }
    let worker = Unshared(self)
    let mailbox = port.mailbox
    let isTaken = gateway.disk.submit {
      let fault = Self.fault { () throws(Fault) in
        try storage.verify(stored.slice, pin, count: stored.count)
      }
      mailbox.post {
        storage.unpin(pin)
        worker.value.checkEnded(stored, fault)
      }
    }
    if !isTaken {
      _ = checks.end(stored.slice)
      storage.unpin(pin)
    }
    return isTaken
  }

  private static func fault(of work: () throws(Fault) -> Void) -> Fault? {
    do throws(Fault) {
      try work()
      return nil
    } catch {
      return error
    }
  }

  private func checkEnded(_ stored: StoredSlice, _ fault: Fault?) {
    counters.add(.sliceCheck)
    let slice = stored.slice
    if let fault {
      condemn(stored, fault)
    } else {
      residency.note(slice.segment, Int(slice.offset), stored.count, loop.now)
    }
    for (exchange, life) in checks.end(slice) { exchange.checkEnded(life, slice, fault) }
  }

  /// Has a slice forgotten that is not what was written, or cannot be read; to be fetched again.
  func condemn(_ stored: StoredSlice, _ fault: Fault) {
    let stamp = stamp(naming: stored)
    let (isNew, drops) = gateway.badSlices.note(stored.slice, isNamed: stamp != nil)
    if let stamp, drops {
      // Where the writer takes nothing the next life meets it again.
      _ = gateway.storage.submit(
        .drop(key: stored.key, stamp: stamp, index: stored.index, stored.slice))
    }
    guard isNew else { return }
    counters.add(.sliceBad)
    gateway.sliceWasBad(fault, now: loop.now)
  }

  /// The stamp of the record that names a slice; nil where none does, as before the slice's commit.
  private func stamp(naming stored: StoredSlice) -> UInt64? {
    do throws(Fault) {
      let found = try index.lookUp(stored.key) { bytes -> UInt64? in
        guard let view = RecordView(bytes),
          locate(slice: stored.index, of: stored.key, view, bytes) == stored.slice
        else { return nil }
        return view.stamp
      }
      return found ?? nil
    } catch {
      return nil
    }
  }
}

/// Carries a worker's object through another thread and back, where alone it is used.
struct Unshared<Value: AnyObject>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
