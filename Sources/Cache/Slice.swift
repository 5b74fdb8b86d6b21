import Base
import CXXHash

/// Where a slice of a body lies, and what its bytes must hash to.
public struct Slice: Equatable, Hashable, Sendable {
  /// The segment file's number; 0 where the slice is not stored.
  public var segment: UInt32
  /// Bytes from the segment's start.
  public var offset: UInt32
  /// XXH3 (64 bits) of the slice's bytes.
  public var checksum: UInt64

  public init(segment: UInt32, offset: UInt32, checksum: UInt64) {
    self.segment = segment
    self.offset = offset
    self.checksum = checksum
  }

  public static let absent = Slice(segment: 0, offset: 0, checksum: 0)
  public var isAbsent: Bool { segment == 0 }

  /// Bytes of a slice in a record.
  static let codedBytes = 16

  /// The checksum that bytes have (XXH3, 64 bits, seed 0).
  public static func checksum(of bytes: RawSpan) -> UInt64 {
    unsafe bytes.withUnsafeBytes { unsafe sluice_xxh3($0.baseAddress, $0.count) }
  }

  func encode(into bytes: inout [UInt8]) {
    bytes.append(littleEndian: segment)
    bytes.append(littleEndian: offset)
    bytes.append(littleEndian: checksum)
  }

  /// The slice at an offset that the caller knows to lie inside.
  init(_ bytes: RawSpan, at offset: Int) {
    segment = bytes.integer(at: offset)
    self.offset = bytes.integer(at: offset + 4)
    checksum = bytes.integer(at: offset + 8)
  }
}

/// The checksum of bytes that come piece by piece; the same as `Slice.checksum` of them all.
@safe
struct SliceChecksum: ~Copyable {
  private let state: OpaquePointer

  /// Throws where there is no memory.
  init() throws(Fault) {
    guard let state = unsafe XXH3_createState() else { throw Fault(.exhausted, .own) }
    unsafe self.state = state
    // Fails only without a state.
    _ = unsafe XXH3_64bits_reset(state)
  }

  deinit {
    _ = unsafe XXH3_freeState(state)
  }

  mutating func update(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe sluice_xxh3_update(state, $0.baseAddress, $0.count) }
  }

  /// The checksum of everything so far.
  var value: UInt64 { unsafe XXH3_64bits_digest(state) }
}

/// The slices 64 `number` to 64 `number` + 63 of an object with more than 16: a value of the index.
///
/// Layout, little endian: version (1 byte), count (1), 2 zeros, `Seal` (4), stamp (8), then 16 bytes a
/// slice. The seal counts the block's number too, which is in its key alone.
public struct SliceBlock: Equatable, Sendable {
  public static let slices = 64
  static let version: UInt8 = 1
  static let headBytes = 16
  private static let sealOffset = 4

  /// The stamp of the record that the block belongs to.
  public var stamp: UInt64
  public var slices: [Slice]

  init(stamp: UInt64) {
    self.stamp = stamp
    slices = Array(repeating: .absent, count: Self.slices)
  }

  /// Nil for what is not the block of this number.
  init?(_ bytes: RawSpan, number: UInt32) {
    guard Self.isBlock(bytes, number: number) else { return nil }
    stamp = bytes.integer(at: 8)
    slices = (0..<Self.slices).map {
      Slice(bytes, at: Self.headBytes + $0 * Slice.codedBytes)
    }
  }

  /// One slice of a block that an `IndexReader` gave; absent where it belongs to another record.
  public static func slice(_ place: Int, stamp: UInt64, in bytes: RawSpan) -> Slice {
    guard bytes.byteCount == codedBytes, place >= 0, place < slices,
      bytes.integer(at: 8) == stamp
    else { return .absent }
    return Slice(bytes, at: headBytes + place * Slice.codedBytes)
  }

  func encoded(number: UInt32) -> [UInt8] {
    var bytes: [UInt8] = [Self.version, UInt8(Self.slices), 0, 0, 0, 0, 0, 0]
    bytes.reserveCapacity(Self.codedBytes)
    bytes.append(littleEndian: stamp)
    for slice in slices { slice.encode(into: &bytes) }
    Seal.put(in: &bytes, at: Self.sealOffset, salt: UInt64(number))
    return bytes
  }

  /// Whether bytes are the block of this number, as it was written.
  static func isBlock(_ bytes: RawSpan, number: UInt32) -> Bool {
    bytes.byteCount == codedBytes && bytes.byte(0) == version
      && bytes.byte(1) == UInt8(slices)
      && Seal.fits(bytes, at: sealOffset, salt: UInt64(number))
  }

  private static let codedBytes = headBytes + slices * Slice.codedBytes
}

extension Array where Element == UInt8 {
  mutating func append<Number: FixedWidthInteger>(littleEndian number: Number) {
    for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: number >> Number(shift)))
    }
  }
}

extension RawSpan {
  /// A little-endian number; the caller has checked that it lies inside (a trap otherwise).
  @inline(__always)
  func integer<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Number {
    Number(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self))
  }
}
