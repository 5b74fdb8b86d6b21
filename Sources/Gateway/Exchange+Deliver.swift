internal import Base
internal import Cache
internal import EventLoop
internal import Server

extension Exchange {
  /// The next bytes of the answer, and where they are.
  private enum Piece {
    case memory(SliceBuffer, offset: Int, count: Int)
    case stored(StoredPiece)
    case wait, end
    case failed(Fault)
  }

  /// Sends what there is, as far as the client takes it; the rest when it takes more.
  func deliver() {
    deliverPieces()
    if limits != nil { meter() }
  }

  private func deliverPieces() {
    guard let stream, !isWaitingForDisk, !stream.isUntouched else { return }
    if steps.current != nil { steps.end(at: worker.loop.now) }
    var budget = stream.bytesPerTurn
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
        else { return awaitClient() }
        sent = taken
      case .stored(let piece):
        guard let taken = send(piece, budget: budget, on: stream) else { return awaitClient() }
        sent = taken
      case .wait:
        steps.begin(.body, at: worker.loop.now)
        return
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

  /// The client takes no more for now, unless it is the disk that is waited for.
  private func awaitClient() {
    if steps.current == nil { steps.begin(.client, at: worker.loop.now) }
  }

  /// Goes on by what the stream took; nil where it will call back or is gone.
  func take(_ offer: Offer, of offered: Int) -> Int? {
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
          // Whoever is here for the fetch is no sign that anybody will ask again.
          return .stored(
            StoredPiece(
              slice: slice, index: index, offset: offset, count: count, isHit: outcome == .hit))
        }
        reader.fill.lost(slice: index, at: slice)
        return nextPiece()
      case .absent where outcome == .bypass || isCollected:
        return .failed(Fault(.closed, .upstream))
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
    return .stored(
      StoredPiece(
        slice: slice, index: index, offset: offset, count: Int(min(sliceEnd, end) - position),
        isHit: true))
  }
}
