import Base
import CXXHash

/// A checksum that a value of the index carries within itself: the low 32 bits of an XXH3.
///
/// What LMDB gives after its file was damaged may be anything, and what a value says is believed: so one
/// whose seal does not fit is none. The salt is what else must be right, as a number in the value's key.
enum Seal {
  static let codedBytes = 4

  /// The seal of bytes that have room for it at `offset`; what stands there does not count.
  @inline(__always)
  static func value(of bytes: RawSpan, at offset: Int, salt: UInt64) -> UInt32 {
    let hash = unsafe bytes.withUnsafeBytes { all in
      // The longer part without a seed: with one, XXH3 makes a secret for it first.
      let rest = unsafe UnsafeRawBufferPointer(rebasing: all[(offset + codedBytes)...])
      let seed = unsafe sluice_xxh3(rest.baseAddress, rest.count) ^ salt
      return unsafe XXH3_64bits_withSeed(all.baseAddress, offset, seed)
    }
    return UInt32(truncatingIfNeeded: hash)
  }

  /// Whether bytes are what was sealed; the caller knows that the seal lies inside.
  @inline(__always)
  static func fits(_ bytes: RawSpan, at offset: Int, salt: UInt64 = 0) -> Bool {
    bytes.integer(at: offset) == value(of: bytes, at: offset, salt: salt)
  }

  /// Puts the seal into its room.
  static func put(in bytes: inout [UInt8], at offset: Int, salt: UInt64 = 0) {
    let seal = value(of: bytes.rawBytes, at: offset, salt: salt)
    for place in 0..<codedBytes {
      bytes[offset + place] = UInt8(truncatingIfNeeded: seal >> UInt32(8 * place))
    }
  }
}

/// A number under a key of the index: 8 bytes, little endian, and a seal that counts the key too.
enum SealedNumber {
  static func encoded(_ number: UInt64, _ key: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: number)
    bytes.append(littleEndian: UInt32(0))
    Seal.put(in: &bytes, at: 8, salt: Slice.checksum(of: key.rawBytes))
    return bytes
  }

  /// Nil for what is no such number, or another key's.
  static func decoded(_ bytes: RawSpan, _ key: [UInt8]) -> UInt64? {
    guard bytes.byteCount == 8 + Seal.codedBytes,
      Seal.fits(bytes, at: 8, salt: Slice.checksum(of: key.rawBytes))
    else { return nil }
    return bytes.integer(at: 0)
  }
}
