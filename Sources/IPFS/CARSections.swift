import Base

/// Cuts a CARv1 stream into its header and sections as the bytes come, without holding whole sections.
///
/// Feed it the same bytes until it asks for more: each step says what it found and how many bytes it took.
struct CARSections {
  enum Step {
    /// All bytes were taken.
    case needMore
    case header([CID])
    /// A section begins; so many bytes of its block follow.
    case block(CID, count: Int)
    /// The next bytes of the block: a range of what was fed.
    case payload(Range<Int>)
    /// The block's last byte was given.
    case end
  }

  private enum State {
    case header
    case prefix
    case payload(rest: Int)
  }

  private let maximumBlock: Int
  private var state = State.header
  /// Bytes of a header or of a section's beginning that came in pieces.
  private var held: [UInt8] = []

  init(maximumBlock: Int) {
    self.maximumBlock = maximumBlock
  }

  /// Whether the stream may end here.
  var isAtBorder: Bool {
    if case .prefix = state { held.isEmpty } else { false }
  }

  /// What the bytes from an offset on give; the offset moves behind what was taken.
  mutating func next(_ bytes: RawSpan, at offset: inout Int) throws(CARError) -> Step {
    switch state {
    case .header: return try header(bytes, &offset)
    case .prefix: return try prefix(bytes, &offset)
    case .payload(let rest):
      if rest == 0 {
        state = .prefix
        return .end
      }
      let count = min(rest, bytes.byteCount - offset)
      guard count > 0 else { return .needMore }
      defer { offset += count }
      state = .payload(rest: rest - count)
      return .payload(offset..<offset + count)
    }
  }

  /// Adds to what is held, up to a count; false where that many bytes have not come.
  private mutating func hold(
    _ count: Int, _ bytes: RawSpan, _ offset: inout Int
  ) -> Bool {
    let taken = min(max(0, count - held.count), bytes.byteCount - offset)
    let part = bytes.extracting(offset..<offset + taken)
    unsafe part.withUnsafeBytes { unsafe held.append(contentsOf: $0) }
    offset += taken
    return held.count >= count
  }

  private mutating func header(
    _ bytes: RawSpan, _ offset: inout Int
  ) throws(CARError) -> Step {
    while true {
      switch held.rawBytes.varint(at: 0) {
      case .malformed: throw .malformedVarint
      case .incomplete:
        guard hold(held.count + 1, bytes, &offset) else { return .needMore }
      case .value(let length, let start):
        guard length > 0 else { throw .malformedHeader }
        guard length <= CARReader.maximumHeader else { throw .headerTooLarge(length) }
        guard hold(start + Int(length), bytes, &offset) else { return .needMore }
        let roots = try CARHeader.decode(held.rawBytes.extracting(start..<held.count))
        held.removeAll()
        state = .prefix
        return .header(roots)
      }
    }
  }

  /// The length and the CID of a section.
  private mutating func prefix(
    _ bytes: RawSpan, _ offset: inout Int
  ) throws(CARError) -> Step {
    while true {
      switch held.rawBytes.varint(at: 0) {
      case .malformed: throw .malformedVarint
      case .incomplete:
        guard hold(held.count + 1, bytes, &offset) else { return .needMore }
      case .value(let length, let start):
        guard length > 0 else { throw .emptySection }
        guard length <= UInt64(maximumBlock + CID.maximumBinary) else {
          throw .blockTooLarge(length)
        }
        let isAll = hold(start + min(Int(length), CID.maximumBinary), bytes, &offset)
        // The shortest CID has 4 bytes, and from fewer its version cannot be told.
        guard isAll || held.count - start >= 4,
          let (cid, count) = try cid(from: start, isAll: isAll)
        else { return .needMore }
        let payload = Int(length) - count
        guard payload <= maximumBlock else { throw .blockTooLarge(length) }
        // What was held beyond the CID came just now, or the CID had been read before.
        offset -= held.count - start - count
        held.removeAll(keepingCapacity: true)
        state = .payload(rest: payload)
        return .block(cid, count: payload)
      }
    }
  }

  /// The CID that is held; nil where more bytes are needed.
  private func cid(from start: Int, isAll: Bool) throws(CARError) -> (cid: CID, count: Int)? {
    do throws(CIDError) {
      return try CID.parse(binary: held.rawBytes.extracting(start..<held.count))
    } catch .truncated {
      guard isAll else { return nil }
      throw .cid(.truncated)
    } catch {
      throw .cid(error)
    }
  }
}
