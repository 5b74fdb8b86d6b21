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
    unsafe bytes.withUnsafeBytes { unsafe XXH3_64bits($0.baseAddress, $0.count) }
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

/// The slices 64 `number` to 64 `number` + 63 of an object with more than 16: a value of the index.
///
/// Layout, little endian: version (1 byte), count (1), 6 zeros, stamp (8), then 16 bytes a slice.
public struct SliceBlock: Equatable, Sendable {
  public static let slices = 64
  static let version: UInt8 = 1
  static let headBytes = 16

  /// The stamp of the record that the block belongs to.
  public var stamp: UInt64
  public var slices: [Slice]

  init(stamp: UInt64) {
    self.stamp = stamp
    slices = Array(repeating: .absent, count: Self.slices)
  }

  /// Nil for what is no block.
  public init?(_ bytes: RawSpan) {
    guard Self.isBlock(bytes) else { return nil }
    stamp = bytes.integer(at: 8)
    slices = (0..<Self.slices).map {
      Slice(bytes, at: Self.headBytes + $0 * Slice.codedBytes)
    }
  }

  /// One slice of a coded block; absent where the block belongs to another record or is none.
  public static func slice(_ place: Int, stamp: UInt64, in bytes: RawSpan) -> Slice {
    guard isBlock(bytes), place >= 0, place < slices, bytes.integer(at: 8) == stamp else {
      return .absent
    }
    return Slice(bytes, at: headBytes + place * Slice.codedBytes)
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = [Self.version, UInt8(Self.slices), 0, 0, 0, 0, 0, 0]
    bytes.reserveCapacity(Self.headBytes + Self.slices * Slice.codedBytes)
    bytes.append(littleEndian: stamp)
    for slice in slices { slice.encode(into: &bytes) }
    return bytes
  }

  private static func isBlock(_ bytes: RawSpan) -> Bool {
    bytes.byteCount == headBytes + slices * Slice.codedBytes && bytes.byte(0) == version
      && bytes.byte(1) == UInt8(slices)
  }
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
