internal import Base
internal import Cache
internal import EventLoop
internal import Logging
internal import Server
internal import System
internal import Telemetry

/// Some bytes of a slice on the disk that are due now.
struct StoredPiece {
  var slice: Slice
  var index: Int
  /// Where in the slice they begin.
  var offset: Int
  var count: Int
  /// Whether they are sent for their own sake, and not to who waited for their fetch.
  var isHit: Bool

  /// Their place in the segment.
  var place: Int { Int(slice.offset) + offset }
}

/// Bytes of the answer from the disk; none that was not held against its slice's checksum.
extension Exchange {
  /// Sends from a stored slice; the bytes sent, 0 to look elsewhere, or nil where something is to be
  /// waited for.
  ///
  /// What of it goes in this turn is at most `budget`, unless it is small.
  func send(_ piece: StoredPiece, budget: Int, on stream: ClientStream) -> Int? {
    let storage = worker.gateway.storage
    let pin: SegmentPin
    do throws(Fault) {
      guard let pinned = try storage.pin(piece.slice.segment) else {
        // Evicted since the last look.
        located = nil
        return 0
      }
      pin = pinned
    } catch {
      worker.gateway.sliceWasBad(error, now: worker.loop.now)
      return passOver(piece.slice)
    }
    let stored = storedSlice(piece)
    let isPacked = DiskStorage.isPacked(stored.count)
    if let broughtIn, broughtIn.slice.slice != piece.slice { letGo() }
    if !isPacked, piece.slice != checked, !storage.isVerified(piece.slice, pin) {
      return check(stored, pin)
    }
    let before = position
    let result: Int?
    if isPacked {
      result = copyPacked(pin, piece, stored, on: stream)
    } else if piece.count < GatewayOptions.copiedBytes && Int64(piece.count) == end - position {
      result = copy(pin, piece, on: stream)
    } else {
      result = sendFile(pin, piece, budget: budget, on: stream)
    }
    if piece.isHit, noted != piece.index, position > before {
      noted = piece.index
      storage.noteHit(piece.slice, pin)
    }
    if !isWaitingForDisk { storage.unpin(pin) }
    return result
  }

  /// The whole slice that a piece is of; the object's length is known, else nothing of it were stored.
  private func storedSlice(_ piece: StoredPiece) -> StoredSlice {
    let start = Int64(piece.index) << Int64(sliceShift)
    let count = min(Int64(1) << Int64(sliceShift), total - start)
    return StoredSlice(
      slice: piece.slice, key: key, index: piece.index, count: Int(max(count, 0)))
  }

  // MARK: Checks

  /// Waits for a large slice's check, unless it was found bad already.
  private func check(_ stored: StoredSlice, _ pin: SegmentPin) -> Int? {
    if worker.gateway.badSlices.contains(stored.slice) {
      worker.gateway.storage.unpin(pin)
      return condemn(stored, Fault(.corrupt, .disk))
    }
    if !worker.gateway.storage.isResident(pin, at: Int(stored.slice.offset), count: stored.count) {
      noteBroughtIn(stored)
    }
    guard worker.check(stored, pin, for: self) else { return passOver(stored.slice) }
    isWaitingForDisk = true
    steps.begin(.disk, at: worker.loop.now)
    return nil
  }

  /// What came of it.
  func checkEnded(_ life: UInt64, _ slice: Slice, _ fault: Fault?) {
    guard life == self.life, stream != nil else { return }
    diskAnswered()
    if fault == nil {
      checked = slice
    } else {
      _ = passOver(slice)
    }
    deliver()
  }

  /// A slice that is bad is forgotten, and fetched again like one that was never here.
  private func condemn(_ stored: StoredSlice, _ fault: Fault) -> Int {
    worker.condemn(stored, fault)
    return passOver(stored.slice)
  }

  /// Looks for a slice's bytes elsewhere.
  private func passOver(_ slice: Slice) -> Int {
    unreadable = slice
    located = nil
    return 0
  }

  // MARK: Packed bodies

  /// Sends of a body that shares its pages with others: all of it is read and checked each time.
  private func copyPacked(
    _ pin: SegmentPin, _ piece: StoredPiece, _ stored: StoredSlice, on stream: ClientStream
  ) -> Int? {
    guard stream.takesCopies else { return nil }
    let isTrusted = takeJustRead(piece.slice, Int(piece.slice.offset)) >= stored.count
    let isLast = Int64(piece.count) == end - position
    var outcome = ReadNow.bytes(0)
    var sent: Int? = piece.count
    if isLast && piece.count == stored.count {
      _ = unsafe stream.fill(stored.count) { room in
        unsafe outcome = readChecked(pin, stored, isTrusted, into: room)
        return outcome == .bytes(stored.count) ? stored.count : 0
      }
      if outcome == .bytes(stored.count) { position += Int64(piece.count) }
    } else {
      worker.scratch.clear()
      _ = unsafe worker.scratch.fill(atLeast: stored.count) { room in
        unsafe outcome = readChecked(
          pin, stored, isTrusted, into: .init(rebasing: room[..<stored.count]))
        return outcome == .bytes(stored.count) ? stored.count : 0
      }
      if outcome == .bytes(stored.count) {
        sent = offerScratch(piece, isLast: isLast, on: stream)
      }
    }
    switch outcome {
    case .bytes(let read) where read == stored.count: return sent
    case .wouldBlock, .bytes:
      var whole = piece
      (whole.offset, whole.count) = (0, stored.count)
      waitForDisk(pin, whole)
      return nil
    case .fault(let fault): return condemn(stored, fault)
    }
  }

  /// Gives a part of the body that was read and checked.
  private func offerScratch(
    _ piece: StoredPiece, isLast: Bool, on stream: ClientStream
  ) -> Int? {
    worker.scratch.withReadable { body in
      let bytes = body.extracting(piece.offset..<piece.offset + piece.count)
      guard isLast else { return take(stream.offer(bytes), of: piece.count) }
      stream.fill(bytes)
      position += Int64(piece.count)
      return piece.count
    }
  }

  /// Reads a packed body and compares its checksum; a fault where it is another.
  private func readChecked(
    _ pin: SegmentPin, _ stored: StoredSlice, _ isTrusted: Bool,
    into room: UnsafeMutableRawBufferPointer
  ) -> ReadNow {
    let storage = worker.gateway.storage
    let place = Int(stored.slice.offset)
    let outcome = unsafe read(storage, pin, at: place, isTrusted, into: room)
    guard outcome == .bytes(stored.count) else { return outcome }
    let bytes = unsafe UnsafeRawBufferPointer(room).bytes
    return Slice.checksum(of: bytes) == stored.slice.checksum
      ? outcome : .fault(Fault(.corrupt, .disk))
  }

  // MARK: Large slices

  /// Copies the last bytes of an answer behind its head, for one send of both.
  private func copy(_ pin: SegmentPin, _ piece: StoredPiece, on stream: ClientStream) -> Int? {
    guard stream.takesCopies else { return nil }
    let isTrusted = takeJustRead(piece.slice, piece.place) >= piece.count
    var outcome = ReadNow.bytes(0)
    let storage = worker.gateway.storage
    _ = unsafe stream.fill(piece.count) { room in
      unsafe outcome = read(storage, pin, at: piece.place, isTrusted, into: room)
      return outcome == .bytes(piece.count) ? piece.count : 0
    }
    switch outcome {
    case .bytes(let read) where read == piece.count:
      position += Int64(piece.count)
      return piece.count
    case .wouldBlock, .bytes:
      waitForDisk(pin, piece)
      return nil
    case .fault(let fault): return condemn(storedSlice(piece), fault)
    }
  }

  /// Reads without waiting.
  ///
  /// File systems that cannot say so for ever: after a disk thread has read the bytes, the plain read
  /// finds them in memory.
  private func read(
    _ storage: DiskStorage, _ pin: SegmentPin, at place: Int, _ isTrusted: Bool,
    into room: UnsafeMutableRawBufferPointer
  ) -> ReadNow {
    guard isTrusted else { return unsafe storage.readNow(pin, at: place, into: room) }
    do throws(Fault) {
      return .bytes(unsafe try storage.read(pin, at: place, into: room))
    } catch {
      return .fault(error)
    }
  }

  private func sendFile(
    _ pin: SegmentPin, _ whole: StoredPiece, budget: Int, on stream: ClientStream
  ) -> Int? {
    var piece = whole
    piece.count = min(piece.count, budget)
    let trusted = takeJustRead(piece.slice, piece.place)
    let resident =
      trusted > 0 ? min(trusted, piece.count) : residentBytes(pin, piece)
    guard resident > 0 else {
      waitForDisk(pin, whole)
      return nil
    }
    let offer = stream.offer(file: pin.descriptor, offset: Int64(piece.place), count: resident)
    if offer == .sourceEnded { return condemn(storedSlice(piece), Fault(.corrupt, .disk)) }
    return take(offer, of: resident)
  }

  /// How many of the bytes can be sent without waiting for the disk.
  private func residentBytes(_ pin: SegmentPin, _ piece: StoredPiece) -> Int {
    let (place, count) = (piece.place, piece.count)
    if worker.residency.covers(pin.segment, place, count, worker.loop.now) { return count }
    let resident = worker.gateway.storage.residentPrefix(pin, offset: place, count: count)
    let isPassing = broughtIn.map { $0.isPassing && $0.slice.slice == piece.slice } ?? false
    if resident == count, !isPassing {
      worker.residency.note(pin.segment, place, count, worker.loop.now)
      worker.gateway.passing.noteUse(of: piece.slice)
    }
    return resident
  }

  // MARK: What is not in memory

  /// How many bytes from a place a disk thread has just read for this exchange; counts once.
  private func takeJustRead(_ slice: Slice, _ place: Int) -> Int {
    defer { justRead = nil }
    guard let justRead, justRead.slice == slice, justRead.place == place else { return 0 }
    return justRead.count
  }

  /// Lets a disk thread read what is not in memory, so that the worker does not wait.
  private func waitForDisk(_ pin: SegmentPin, _ piece: StoredPiece) {
    worker.counters.add(.diskWait)
    let storage = worker.gateway.storage
    let life = life
    let exchange = Unshared(self)
    let mailbox = worker.port.mailbox
    let stored = storedSlice(piece)
    let wanted = min(piece.count, GatewayOptions.readAheadBytes)
    if !DiskStorage.isPacked(stored.count) { noteBroughtIn(stored) }
    isWaitingForDisk = true
    steps.begin(.disk, at: worker.loop.now)
    let isTaken = worker.gateway.disk.submit {
      let fault = Self.readThrough(storage, pin, at: piece.place, count: wanted)
      mailbox.post {
        storage.unpin(pin)
        exchange.value.diskDone(life, stored, (piece.place, wanted), fault)
      }
    }
    if !isTaken {
      // Threads that far behind are as good as a broken disk.
      isWaitingForDisk = false
      steps.end(at: worker.loop.now)
      _ = passOver(piece.slice)
      stream?.yield()
    }
  }

  /// A disk thread has done what was waited for.
  private func diskAnswered() {
    isWaitingForDisk = false
    worker.counters.observe(.diskWait, steps.end(at: worker.loop.now))
  }

  private static func readThrough(
    _ storage: DiskStorage, _ pin: SegmentPin, at place: Int, count: Int
  ) -> Fault? {
    if count >= GatewayOptions.copiedBytes, storage.bringIn(pin, at: place, count: count) {
      return nil
    }
    if DiskStorage.isPacked(count) {
      // What was written together is often asked for together.
      let block = GatewayOptions.packedBlockBytes
      storage.willNeed(pin, at: place / block * block, count: block)
    }
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
    _ life: UInt64, _ stored: StoredSlice, _ read: (place: Int, count: Int), _ fault: Fault?
  ) {
    guard life == self.life, stream != nil else { return }
    diskAnswered()
    if let fault {
      _ = condemn(stored, fault)
    } else {
      justRead = (stored.slice, read.place, read.count)
    }
    deliver()
  }
}
