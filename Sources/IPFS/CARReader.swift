import Base

/// One section of a CAR file; offsets count from the file's start.
public struct CARBlock: Equatable, Sendable {
  public let cid: CID
  /// Where the section begins, with its length.
  public let sectionOffset: UInt64
  public let payloadOffset: UInt64
  public let payloadCount: Int
}

/// What a CAR file gave next.
public enum CAREvent: Equatable, Sendable {
  /// Nothing until more bytes are fed, at least this many.
  case needMore(Int)
  case header(roots: [CID])
  case block(CARBlock)
}

/// Reads a CARv1 file as its bytes arrive, in any pieces; also the one inside a CARv2 file, where allowed.
///
/// Of a CARv2 file (ipld.io/specs/transport/car/carv2) the header says where the CARv1 lies in it; the index
/// and whatever else there is are passed over.
/// Feed bytes, then call `next` until it asks for more. The reader holds at most one section beside what
/// is fed at once. Blocks are not verified here: see `CID.verify`. An error is final.
public struct CARReader: ~Copyable {
  public static let maximumHeader: UInt64 = 1024 * 1024
  /// A block of 2 MiB and its CID.
  public static let maximumSection = UInt64(PBNode.maximumBlock + CID.maximumBinary)

  private var buffer: ByteBuffer
  /// Where the buffer's first readable byte stands in the file.
  private var position: UInt64 = 0
  /// Bytes of the section last given, to be dropped when the next one is asked for.
  private var held = 0
  private var payloadRange = ByteRange.empty
  private var sawHeader = false
  private var failure: CARError?
  private let acceptsVersion2: Bool
  /// Bytes to pass over before the next thing to read.
  private var skipped: UInt64 = 0
  /// Whether a CARv2's header is to be read next.
  private var awaitsFrame = false
  /// Where the CARv1 inside a CARv2 ends.
  private var dataEnd: UInt64?

  /// Begins a file; streams of gateways are never CARv2.
  public init(capacity: Int = 64 * 1024, acceptsVersion2: Bool = false) {
    buffer = ByteBuffer(capacity: capacity)
    self.acceptsVersion2 = acceptsVersion2
  }

  /// Adds the file's next bytes.
  public mutating func feed(_ bytes: RawSpan) {
    if failure == nil { buffer.append(bytes) }
  }

  /// The bytes of the block that `next` gave last, until it is called again.
  public var payload: RawSpan {
    @_lifetime(borrow self)
    get { buffer.readable.bytes(payloadRange) }
  }

  public mutating func next() throws(CARError) -> CAREvent {
    if let failure { throw failure }
    do throws(CARError) {
      if let needed = try enterFrame() { return .needMore(needed) }
      return try sawHeader ? section() : header()
    } catch {
      failure = error
      throw error
    }
  }

  /// Whether the file may end here: throws where it would be cut off.
  public func checkEnd() throws(CARError) {
    if let failure { throw failure }
    guard sawHeader, dataEnd ?? position + UInt64(buffer.count) == position + UInt64(held) else {
      throw .truncated
    }
  }

  /// Goes to where the CARv1 begins in a CARv2; how many bytes are missing for that, nil where none.
  private mutating func enterFrame() throws(CARError) -> Int? {
    if awaitsFrame {
      guard buffer.count >= CARVersion2.headerBytes else {
        return CARVersion2.headerBytes - buffer.count
      }
      let frame = try CARVersion2.decode(buffer.readable)
      awaitsFrame = false
      // What was read of the file so far is its pragma.
      skipped = frame.lowerBound - position
      dataEnd = frame.upperBound
    }
    let passed = Int(min(skipped, UInt64(buffer.count)))
    buffer.consume(passed)
    position += UInt64(passed)
    skipped -= UInt64(passed)
    return skipped > 0 ? Int(clamping: skipped) : nil
  }

  private mutating func header() throws(CARError) -> CAREvent {
    guard let (length, start) = try length() else { return .needMore(1) }
    guard length > 0 else { throw .malformedHeader }
    guard length <= Self.maximumHeader else { throw .headerTooLarge(length) }
    let end = start + Int(length)
    guard isInside(end) else { throw .truncated }
    guard buffer.count >= end else { return .needMore(end - buffer.count) }
    let roots: [CID]
    do throws(CARError) {
      roots = try CARHeader.decode(buffer.readable.extracting(start..<end))
    } catch {
      guard error == .version2, acceptsVersion2, dataEnd == nil else { throw error }
      buffer.consume(end)
      position += UInt64(end)
      awaitsFrame = true
      if let needed = try enterFrame() { return .needMore(needed) }
      return try header()
    }
    sawHeader = true
    held = end
    return .header(roots: roots)
  }

  private mutating func section() throws(CARError) -> CAREvent {
    buffer.consume(held)
    position += UInt64(held)
    held = 0
    payloadRange = .empty
    if position == dataEnd {
      buffer.clear()
      return .needMore(1)
    }
    guard let (length, start) = try length() else { return .needMore(1) }
    guard length > 0 else { throw .emptySection }
    guard length <= Self.maximumSection else { throw .blockTooLarge(length) }
    let end = start + Int(length)
    guard isInside(end) else { throw .truncated }
    guard buffer.count >= end else { return .needMore(end - buffer.count) }
    let (cid, count) = try cid(at: start..<end)
    let payloadCount = end - start - count
    guard payloadCount <= PBNode.maximumBlock else { throw .blockTooLarge(length) }
    payloadRange = ByteRange(start: start + count, count: payloadCount)
    held = end
    return .block(
      CARBlock(
        cid: cid, sectionOffset: position, payloadOffset: position + UInt64(start + count),
        payloadCount: payloadCount))
  }

  /// Whether so many of the readable bytes belong to the CARv1.
  private func isInside(_ count: Int) -> Bool {
    dataEnd.map { position + UInt64(count) <= $0 } ?? true
  }

  /// The length that the readable bytes begin with, and where it ends; nil where it is not whole.
  private func length() throws(CARError) -> (length: UInt64, start: Int)? {
    switch buffer.readable.varint(at: 0) {
    case .value(let length, let next): return (length, next)
    case .incomplete: return nil
    case .malformed: throw .malformedVarint
    }
  }

  private func cid(at section: Range<Int>) throws(CARError) -> (cid: CID, count: Int) {
    do throws(CIDError) {
      return try CID.parse(binary: buffer.readable.extracting(section))
    } catch {
      throw .cid(error)
    }
  }
}
