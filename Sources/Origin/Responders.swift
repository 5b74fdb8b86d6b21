internal import Base
internal import IPFS
internal import Server

/// What one answer may send before the others have their turn.
private let bytesPerTurn = 1024 * 1024

/// Gives a body that is in memory.
final class BytesResponder: Responder {
  private let stream: ClientStream
  private let bytes: [UInt8]
  private var sent = 0

  init(_ stream: ClientStream, _ bytes: [UInt8]) {
    self.stream = stream
    self.bytes = bytes
  }

  override func writable() {
    let bytes = bytes
    let rest = sent..<min(bytes.count, sent + bytesPerTurn)
    guard case .taken(let count) = stream.offer(bytes.rawBytes.extracting(rest)) else { return }
    sent += count
    if sent == bytes.count {
      stream.finish()
    } else if count == rest.count {
      stream.yield()
    }
  }
}

/// Gives a range of a file, block by block, as the client takes it.
final class FileResponder: Responder {
  private let stream: ClientStream
  private var slice: FileSlice
  private var block: [UInt8] = []
  /// What is left of the block.
  private var rest = 0..<0

  init(_ stream: ClientStream, _ slice: FileSlice) {
    self.stream = stream
    self.slice = slice
  }

  override func writable() {
    var budget = bytesPerTurn
    while stream.bodyDue > 0 {
      if budget == 0 {
        stream.yield()
        return
      }
      if rest.isEmpty && !takeBlock() {
        // The head promised what cannot be had; the client must see that the body is not whole.
        stream.abort()
        return
      }
      let bytes = block
      let part = rest.prefix(budget)
      guard case .taken(let count) = stream.offer(bytes.rawBytes.extracting(part)) else { return }
      rest = rest.lowerBound + count..<rest.upperBound
      budget -= count
      if count < part.count { return }
    }
    stream.finish()
  }

  private func takeBlock() -> Bool {
    guard let next = try? slice.next() else { return false }
    block = next.block
    rest = next.bytes
    return true
  }
}

/// Gives a body whose length is not known, as it is written.
final class StreamResponder: Responder {
  private let stream: ClientStream
  // One of them; each is changed in place, since a copy would be one of all that it has gathered.
  private var car: CARWalk?
  private var tar: TarWalk?
  private var output = ByteBuffer(capacity: 64 * 1024)

  init(_ stream: ClientStream, _ walk: CARWalk) {
    self.stream = stream
    car = walk
  }

  init(_ stream: ClientStream, _ walk: TarWalk) {
    self.stream = stream
    tar = walk
  }

  override func writable() {
    var budget = bytesPerTurn
    while true {
      while !output.isEmpty {
        if budget <= 0 {
          stream.yield()
          return
        }
        guard case .taken(let count) = output.withReadable({ stream.offer($0) }) else { return }
        output.consume(count)
        budget -= count
        if count == 0 { return }
      }
      if !write() {
        stream.finish()
        return
      }
    }
  }

  /// Writes the next piece; false at the end.
  ///
  /// A block that is missing ends a CAR too, in order, as boxo does it: by then nothing can be said in
  /// the head any more.
  private func write() -> Bool {
    if let goesOn = tar?.next(into: &output) { return goesOn }
    do throws(ResolveFailure) {
      return try car?.next(into: &output) ?? false
    } catch {
      return false
    }
  }
}
