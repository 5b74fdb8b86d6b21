internal import Base
internal import Cache
internal import EventLoop
internal import Logging
internal import Server
internal import System
internal import Telemetry

extension Exchange {
  /// The next bytes of the answer, and where they are.
  private enum Piece {
    case memory(SliceBuffer, offset: Int, count: Int)
    case stored(Slice, index: Int, offset: Int, count: Int)
    case wait, end
    case failed(Fault)
  }

  /// Sends what there is, as far as the client takes it; the rest when it takes more.
  func deliver() {
    guard let stream, !isWaitingForDisk, !stream.isUntouched else { return }
    var budget = GatewayOptions.bytesPerTurn
    while position < end {
      guard budget > 0 else {
        stream.yield()
        return
      }
      var sent = 0
      switch nextPiece() {
      case .memory(let buffer, let offset, let count):
        let offered = min(count, budget, Int(clamping: end - position))
        guard
          let taken = take(
            stream.offer(buffer.bytes.extracting(offset..<offset + offered)), of: offered)
        else { return }
        sent = taken
      case .stored(let slice, let index, let offset, let count):
        guard let taken = send(slice, index, offset, min(count, budget), on: stream) else { return }
        sent = taken
      case .wait: return
      case .end:
        finish()
        return
      case .failed(let fault):
        fillFailed(fault)
        return
      }
      budget -= sent
    }
    finish()
  }

  /// Goes on by what the stream took; nil where it will call back or is gone.
  private func take(_ offer: Offer, of offered: Int) -> Int? {
    switch offer {
    case .taken(let count):
      position += Int64(count)
      return count < offered ? nil : count
    case .gone: return nil
    case .sourceEnded: return 0
    }
  }

  // MARK: Where the bytes are

  private func nextPiece() -> Piece {
    if let reader {
      if mustAgree, agrees(reader) == false { return .failed(Fault(.mismatch, .own)) }
      if restEtag != nil, !restFits(reader) { return .failed(Fault(.mismatch, .upstream)) }
      switch reader.fill.next(reader, at: position - readerBase) {
      case .wait: return .wait
      case .end: return .end
      case .bytes(let buffer, let offset, let count):
        return .memory(buffer, offset: offset, count: count)
      case .stored(let slice, let index, let offset, let count):
        if slice != unreadable, worker.gateway.storage.isLive(slice.segment) {
          return .stored(slice, index: index, offset: offset, count: count)
        }
        reader.fill.lost(slice: index, at: slice)
        return nextPiece()
      case .absent where outcome == .bypass: return .failed(Fault(.closed, .upstream))
      case .absent(let index):
        if let piece = storedPiece(index) { return piece }
        reader.fill.want(reader, slice: index)
        return .wait
      case .failed(let fault): return .failed(fault)
      }
    }
    let index = Int(position >> Int64(sliceShift))
    if let piece = storedPiece(index) { return piece }
    // The rest is not here: it is fetched, for everybody.
    return rejoin() ? nextPiece() : .wait
  }

  /// The rest of a slice that the index knows, up to the end of what is due.
  private func storedPiece(_ index: Int) -> Piece? {
    if located?.index != index || located.map({ $0.slice == unreadable }) ?? true {
      guard let slice = worker.locate(slice: index, of: key, sliceShift, total),
        slice != unreadable
      else {
        return nil
      }
      located = (index, slice)
    }
    guard let slice = located?.slice, worker.gateway.storage.isLive(slice.segment) else {
      located = nil
      return nil
    }
    let offset = Int(position & (Int64(1) << Int64(sliceShift) - 1))
    let sliceEnd = (Int64(index) + 1) << Int64(sliceShift)
    return .stored(slice, index: index, offset: offset, count: Int(min(sliceEnd, end) - position))
  }

  // MARK: From the disk

  /// Sends from a stored slice; the bytes sent, or nil where something is to be waited for.
  private func send(
    _ slice: Slice, _ index: Int, _ offset: Int, _ count: Int, on stream: ClientStream
  ) -> Int? {
    let storage = worker.gateway.storage
    let pin: SegmentPin
    do throws(Fault) {
      guard let pinned = try storage.pin(slice.segment) else {
        // Evicted since the last look.
        located = nil
        return 0
      }
      pin = pinned
    } catch {
      return unreadableSlice(slice, index, error)
    }
    let place = Int(slice.offset) + offset
    let trusted = justRead.map { $0.slice == slice && $0.place == place ? $0.count : 0 } ?? 0
    justRead = nil
    let result: Int?
    if count < GatewayOptions.copiedBytes && Int64(count) == end - position {
      result = copy(pin, at: place, slice, index, count, trusted: trusted >= count, on: stream)
    } else if pin.descriptor < 0 {
      result = offerCopy(pin, at: place, min(count, GatewayOptions.copiedBytes), on: stream)
    } else {
      result = sendFile(pin, at: place, slice, index, count, trusted: trusted, on: stream)
    }
    if !isWaitingForDisk { storage.unpin(pin) }
    return result
  }

  /// Copies the last bytes of an answer behind its head, for one send of both.
  private func copy(
    _ pin: SegmentPin, at place: Int, _ slice: Slice, _ index: Int, _ count: Int, trusted: Bool,
    on stream: ClientStream
  ) -> Int? {
    guard stream.takesCopies else { return nil }
    var outcome = ReadNow.bytes(0)
    let storage = worker.gateway.storage
    _ = unsafe stream.fill(count) { room in
      // File systems that cannot read without waiting say so for ever: after a disk thread has read
      // the bytes, the plain read finds them in memory.
      unsafe outcome =
        trusted
        ? Self.read(storage, pin, at: place, into: room)
        : storage.readNow(pin, at: place, into: room)
      if case .bytes(let read) = outcome, read == count { return count }
      return 0
    }
    switch outcome {
    case .bytes(let read) where read == count:
      position += Int64(count)
      return count
    case .wouldBlock, .bytes:
      waitForDisk(pin, at: place, slice, index, count)
      return nil
    case .fault(let fault): return unreadableSlice(slice, index, fault)
    }
  }

  /// Sends bytes of a storage that has no files.
  private func offerCopy(
    _ pin: SegmentPin, at place: Int, _ count: Int, on stream: ClientStream
  ) -> Int? {
    var scratch = ByteBuffer(capacity: count)
    let storage = worker.gateway.storage
    _ = unsafe scratch.fill(atLeast: count) { room in
      let wanted = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      guard case .bytes(let read) = unsafe storage.readNow(pin, at: place, into: wanted) else {
        return 0
      }
      return read
    }
    return take(stream.offer(scratch.readable), of: count)
  }

  private static func read(
    _ storage: Storage, _ pin: SegmentPin, at place: Int,
    into room: UnsafeMutableRawBufferPointer
  ) -> ReadNow {
    do throws(Fault) {
      return .bytes(unsafe try storage.read(pin, at: place, into: room))
    } catch {
      return .fault(error)
    }
  }

  private func sendFile(
    _ pin: SegmentPin, at place: Int, _ slice: Slice, _ index: Int, _ count: Int, trusted: Int,
    on stream: ClientStream
  ) -> Int? {
    let resident = trusted > 0 ? min(trusted, count) : residentBytes(pin, at: place, count)
    guard resident > 0 else {
      waitForDisk(pin, at: place, slice, index, count)
      return nil
    }
    let offer = stream.offer(file: pin.descriptor, offset: Int64(place), count: resident)
    if offer == .sourceEnded {
      return unreadableSlice(slice, index, Fault(.corrupt, .disk))
    }
    return take(offer, of: resident)
  }

  /// How many of the bytes can be sent without waiting for the disk.
  private func residentBytes(_ pin: SegmentPin, at place: Int, _ count: Int) -> Int {
    if worker.residency.covers(pin.segment, place, count, worker.loop.now) { return count }
    let resident = worker.gateway.storage.residentPrefix(pin, offset: place, count: count)
    if resident == count { worker.residency.note(pin.segment, place, count, worker.loop.now) }
    return resident
  }

  /// A slice that cannot be read is forgotten, and fetched again like one that was never here.
  private func unreadableSlice(_ slice: Slice, _ index: Int, _ fault: Fault) -> Int {
    worker.log.warning(
      "a stored slice cannot be read",
      metadata: ["fault": .string(fault.name), "errno": .stringConvertible(fault.errno)])
    unreadable = slice
    located = nil
    return 0
  }

  /// Lets a disk thread read what is not in memory, so that the worker does not wait.
  private func waitForDisk(
    _ pin: SegmentPin, at place: Int, _ slice: Slice, _ index: Int, _ count: Int
  ) {
    worker.counters.add(.diskWait)
    let storage = worker.gateway.storage
    let life = life
    let exchange = Unshared(self)
    let mailbox = worker.port.mailbox
    let wanted = min(count, GatewayOptions.readAheadBytes)
    isWaitingForDisk = true
    let isTaken =
      worker.gateway.disk?.submit {
        let fault = Self.readThrough(storage, pin, at: place, count: wanted)
        mailbox.post {
          storage.unpin(pin)
          exchange.value.diskDone(life, slice, index, (place, wanted), fault)
        }
      } ?? false
    if !isTaken {
      // Threads that far behind are as good as a broken disk.
      isWaitingForDisk = false
      unreadable = slice
      located = nil
      stream?.yield()
    }
  }

  private static func readThrough(
    _ storage: Storage, _ pin: SegmentPin, at place: Int, count: Int
  ) -> Fault? {
    var scratch = ByteBuffer(capacity: count)
    do throws(Fault) {
      let read = try unsafe scratch.fill(atLeast: count) { room throws(Fault) in
        try unsafe storage.read(
          pin, at: place, into: UnsafeMutableRawBufferPointer(rebasing: room[..<count]))
      }
      return read == count ? nil : Fault(.corrupt, .disk)
    } catch {
      return error
    }
  }

  private func diskDone(
    _ life: UInt64, _ slice: Slice, _ index: Int, _ read: (place: Int, count: Int), _ fault: Fault?
  ) {
    guard life == self.life, stream != nil else { return }
    isWaitingForDisk = false
    if let fault {
      _ = unreadableSlice(slice, index, fault)
    } else {
      justRead = (slice, read.place, read.count)
    }
    deliver()
  }
}

/// Carries a worker's object through another thread and back, where alone it is used.
private struct Unshared<Value: AnyObject>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
