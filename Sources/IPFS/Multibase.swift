public import Base

/// What is wrong with a text in multibase.
public enum MultibaseError: Error, Equatable, Sendable {
  case empty
  /// The first byte names no base that is known here.
  case unknownPrefix(UInt8)
  /// A byte that the base has no digit for, and where it stands.
  case invalidCharacter(UInt8, offset: Int)
  /// The digits end inside a byte, or leave bits that are not zero.
  case incompleteDigits
  case tooLong

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .empty: "the text is empty"
    case .unknownPrefix(let byte): "the multibase prefix \(quoted(byte)) is not known"
    case .invalidCharacter(let byte, let offset):
      "the character \(quoted(byte)) at offset \(offset) is no digit of its base"
    case .incompleteDigits: "the last digits do not make a whole byte"
    case .tooLong: "the text is longer than any CID"
    }
  }
}

/// A byte as people should see it: printable ASCII in quotes, others as a number.
private func quoted(_ byte: UInt8) -> String {
  0x21...0x7e ~= byte ? "'\(Character(UnicodeScalar(byte)))'" : "byte \(byte)"
}

/// The bases that CIDs are written in, by their multibase prefix (multiformats/multibase).
///
/// The two cases of base16, base32 and base36 read each other's letters, as Go's library does: browsers
/// make host names lower-case.
public enum Multibase: UInt8, CaseIterable, Sendable {
  case base16 = 0x66  // f
  case base16Upper = 0x46  // F
  case base32 = 0x62  // b
  case base32Upper = 0x42  // B
  case base36 = 0x6b  // k
  case base36Upper = 0x4b  // K
  case base58 = 0x7a  // z
  case base64 = 0x6d  // m
  case base64URL = 0x75  // u

  /// No CID of at most `ShortBytes.capacity` bytes has a longer text in any of the bases.
  public static let maximumText = 2 * ShortBytes.capacity + 1

  /// Decodes a text with its prefix; no heap is touched.
  public static func decode(_ text: RawSpan) throws(MultibaseError) -> ShortBytes {
    guard text.byteCount > 0 else { throw .empty }
    guard text.byteCount <= maximumText else { throw .tooLong }
    guard let base = Multibase(rawValue: text.byte(0)) else { throw .unknownPrefix(text.byte(0)) }
    return try base.decode(digits: text, from: 1)
  }

  /// Decodes the digits that begin at an offset.
  func decode(digits text: RawSpan, from start: Int) throws(MultibaseError) -> ShortBytes {
    switch self {
    case .base16, .base16Upper: try decodeBits(text, from: start, width: 4, Base16.self)
    case .base32, .base32Upper: try decodeBase32(text, from: start)
    case .base64: try decodeBits(text, from: start, width: 6, Base64.self)
    case .base64URL: try decodeBits(text, from: start, width: 6, Base64URL.self)
    case .base36, .base36Upper:
      try decodeRadix(text, from: start, radix: 36, group: 12, Base36.self)
    case .base58: try decodeRadix(text, from: start, radix: 58, group: 10, Base58.self)
    }
  }

  /// Appends the prefix and the digits of at most `ShortBytes.capacity` bytes.
  public func encode(_ bytes: RawSpan, to output: inout ByteBuffer) {
    output.append(rawValue)
    encodeDigits(bytes, to: &output)
  }

  /// Appends the digits alone, as CIDv0 is written.
  func encodeDigits(_ bytes: RawSpan, to output: inout ByteBuffer) {
    precondition(bytes.byteCount <= ShortBytes.capacity)
    switch self {
    case .base16: encodeBits(bytes, width: 4, "0123456789abcdef", to: &output)
    case .base16Upper: encodeBits(bytes, width: 4, "0123456789ABCDEF", to: &output)
    case .base32: encodeBase32(bytes, letters: UInt8(ascii: "a"), to: &output)
    case .base32Upper: encodeBase32(bytes, letters: UInt8(ascii: "A"), to: &output)
    case .base64:
      encodeBits(
        bytes, width: 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        to: &output)
    case .base64URL:
      encodeBits(
        bytes, width: 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        to: &output)
    case .base36:
      encodeRadix(
        bytes, "0123456789abcdefghijklmnopqrstuvwxyz", radix: 36, group: 6, to: &output)
    case .base36Upper:
      encodeRadix(
        bytes, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", radix: 36, group: 6, to: &output)
    case .base58:
      encodeRadix(
        bytes, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", radix: 58, group: 5,
        to: &output)
    }
  }
}

/// The value of a digit, by arithmetic: no table, so nothing to initialise and no cache line to miss.
///
/// Types instead of closures, so that the loops below are made for each base.
private protocol Alphabet {
  /// The digit's value; `noDigit` for other bytes.
  static func value(_ byte: UInt8) -> UInt8
}

private let noDigit: UInt8 = 0xff

private enum Base16: Alphabet {
  @inline(__always)
  static func value(_ byte: UInt8) -> UInt8 { byte.hexValue ?? noDigit }
}

private enum Base32: Alphabet {
  @inline(__always)
  static func value(_ byte: UInt8) -> UInt8 {
    let letter = (byte | 0x20) &- 0x61
    if letter < 26 { return letter }
    return byte &- 0x32 < 6 ? byte &- 0x32 &+ 26 : noDigit
  }
}

private enum Base36: Alphabet {
  @inline(__always)
  static func value(_ byte: UInt8) -> UInt8 {
    if byte.isASCIIDigit { return byte &- 0x30 }
    let letter = (byte | 0x20) &- 0x61
    return letter < 26 ? letter &+ 10 : noDigit
  }
}

private enum Base58: Alphabet {
  @inline(__always)
  static func value(_ byte: UInt8) -> UInt8 {
    switch byte {
    case 0x31...0x39: byte &- 0x31
    case 0x41...0x48: byte &- 0x41 &+ 9
    case 0x4a...0x4e: byte &- 0x4a &+ 17
    case 0x50...0x5a: byte &- 0x50 &+ 22
    case 0x61...0x6b: byte &- 0x61 &+ 33
    case 0x6d...0x7a: byte &- 0x6d &+ 44
    default: noDigit
    }
  }
}

private enum Base64: Alphabet {
  @inline(__always)
  static func value(_ byte: UInt8) -> UInt8 {
    switch byte {
    case 0x41...0x5a: byte &- 0x41
    case 0x61...0x7a: byte &- 0x61 &+ 26
    case 0x30...0x39: byte &- 0x30 &+ 52
    case 0x2b: 62
    case 0x2f: 63
    default: noDigit
    }
  }
}

private enum Base64URL: Alphabet {
  @inline(__always)
  static func value(_ byte: UInt8) -> UInt8 {
    switch byte {
    case 0x2d: 62
    case 0x5f: 63
    case 0x2b, 0x2f: noDigit
    default: Base64.value(byte)
    }
  }
}

/// Bases whose digit is a whole number of bits (RFC 4648 without padding).
///
/// Eight digits at a time make as many bytes as a digit has bits; their validity is looked at together.
@inline(__always)
private func decodeBits<Digits: Alphabet>(
  _ text: RawSpan, from start: Int, width: Int, _ alphabet: Digits.Type
) throws(MultibaseError) -> ShortBytes {
  let digits = text.byteCount - start
  guard digits * width / 8 <= ShortBytes.capacity else { throw .tooLong }
  var decoded = ShortBytes()
  unsafe try decoded.fill { output throws(MultibaseError) in
    var written = 0
    var offset = start
    while offset < text.byteCount {
      let end = min(offset + 8, text.byteCount)
      var word: UInt64 = 0
      var seen: UInt8 = 0
      for place in offset..<end {
        let value = alphabet.value(
          unsafe text.unsafeLoad(fromUncheckedByteOffset: place, as: UInt8.self))
        seen |= value
        word = word << UInt64(width) | UInt64(value)
      }
      guard seen < 1 << UInt8(width) else {
        throw invalidCharacter(text, from: offset, alphabet)
      }
      let bits = (end - offset) * width
      let aligned = (word << UInt64(64 - bits)).bigEndian
      // Inside: 8 bytes from `written`, which is below the capacity, end within the slack.
      unsafe output.storeBytes(of: aligned, toByteOffset: written, as: UInt64.self)
      written += bits / 8
      offset = end
      // Only the last group can end inside a byte.
      guard bits % 8 < width, word & ((1 << UInt64(bits % 8)) - 1) == 0 else {
        throw .incompleteDigits
      }
    }
    return written
  }
  return decoded
}

/// Base32, the base of nearly every request: eight digits at a time, all lanes of a word at once.
private func decodeBase32(_ text: RawSpan, from start: Int) throws(MultibaseError) -> ShortBytes {
  let digits = text.byteCount - start
  guard digits * 5 / 8 <= ShortBytes.capacity else { throw .tooLong }
  var decoded = ShortBytes()
  unsafe try decoded.fill { output throws(MultibaseError) in
    var written = 0
    var offset = start
    while offset &+ 8 <= text.byteCount {
      let group = UInt64(
        littleEndian: unsafe text.unsafeLoadUnaligned(
          fromUncheckedByteOffset: offset, as: UInt64.self))
      guard let bits = base32Bits(group) else {
        throw invalidCharacter(text, from: offset, Base32.self)
      }
      // Inside: 8 bytes from `written`, which is below the capacity, end within the slack.
      unsafe output.storeBytes(of: (bits << 24).bigEndian, toByteOffset: written, as: UInt64.self)
      written &+= 5
      offset &+= 8
    }
    let count = text.byteCount &- offset
    guard count > 0 else { return written }
    var group: UInt64 = 0x6161_6161_6161_6161  // aaaaaaaa: zeros behind the last digit.
    for place in 0..<count {
      let shift = UInt64(8 * place)
      group = group & ~(0xff << shift) | UInt64(text.byte(offset + place)) << shift
    }
    guard let bits = base32Bits(group) else {
      throw invalidCharacter(text, from: offset, Base32.self)
    }
    // The digits may end inside a byte; what is left over must be zero.
    let bytes = count * 5 / 8
    guard count * 5 % 8 < 5, bits & ((1 << UInt64(40 - bytes * 8)) - 1) == 0 else {
      throw .incompleteDigits
    }
    unsafe output.storeBytes(of: (bits << 24).bigEndian, toByteOffset: written, as: UInt64.self)
    return written + bytes
  }
  return decoded
}

/// The 40 bits of eight base32 digits, the first in the lowest byte; nil where one is no digit.
@inline(__always)
private func base32Bits(_ group: UInt64) -> UInt64? {
  func lanes(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
  let isLetter = ((group >> 6) & lanes(1)) &* 0xff
  // The low five bits: 1 to 26 for letters of either case, 18 to 23 for the digits 2 to 7.
  let low = group & lanes(0x1f)
  let wrongLetter = (low &+ lanes(0x7f - 26)) | ~(low &+ lanes(0x7f))
  let wrongDigit = ~(low &+ lanes(0x80 - 18)) | (low &+ lanes(0x7f - 23)) | ~(group << 2)
  let wrong = (wrongLetter & isLetter | wrongDigit & ~isLetter | group) & lanes(0x80)
  guard wrong == 0 else { return nil }
  let values = (low &+ (lanes(9) & ~isLetter) &- lanes(1)).byteSwapped
  let tens = values & 0x001f_001f_001f_001f | (values & 0x1f00_1f00_1f00_1f00) >> 3
  let twenties = tens & 0x0000_03ff_0000_03ff | (tens & 0x03ff_0000_03ff_0000) >> 6
  return twenties & 0xf_ffff | (twenties & 0x000f_ffff_0000_0000) >> 12
}

/// The first byte that the base has no digit for; there is one.
private func invalidCharacter<Digits: Alphabet>(
  _ text: RawSpan, from start: Int, _ alphabet: Digits.Type
) -> MultibaseError {
  var offset = start
  while offset < text.byteCount - 1, alphabet.value(text.byte(offset)) != noDigit { offset += 1 }
  return .invalidCharacter(text.byte(offset), offset: offset)
}

/// Bases that write one large number; each leading zero digit is a zero byte.
///
/// `group` digits at a time are multiplied in, so that `radix` to that power fits 64 bits.
@inline(__always)
private func decodeRadix<Digits: Alphabet>(
  _ text: RawSpan, from start: Int, radix: UInt64, group: Int, _ alphabet: Digits.Type
) throws(MultibaseError) -> ShortBytes {
  // The least significant limb first.
  var limbStorage = InlineArray<20, UInt64>(repeating: 0)
  var limbs = limbStorage.mutableSpan
  var used = 0
  var zeros = 0
  var offset = start
  while offset < text.byteCount, alphabet.value(text.byte(offset)) == 0 {
    zeros += 1
    offset += 1
  }
  while offset < text.byteCount {
    var scale: UInt64 = 1
    var carry: UInt64 = 0
    let groupEnd = min(offset + group, text.byteCount)
    while offset < groupEnd {
      let value = alphabet.value(text.byte(offset))
      guard value != noDigit else {
        throw .invalidCharacter(text.byte(offset), offset: offset)
      }
      carry = carry &* radix &+ UInt64(value)
      scale = scale &* radix
      offset += 1
    }
    for index in 0..<used {
      let product = limbs[index].multipliedFullWidth(by: scale)
      let (low, overflow) = product.low.addingReportingOverflow(carry)
      limbs[index] = low
      carry = product.high &+ (overflow ? 1 : 0)
    }
    if carry != 0 {
      guard used < limbs.count else { throw .tooLong }
      limbs[used] = carry
      used += 1
    }
  }
  let unused = used > 0 ? limbs[used - 1].leadingZeroBitCount / 8 : 0
  let count = zeros + used * 8 - unused
  guard count <= ShortBytes.capacity else { throw .tooLong }
  var decoded = ShortBytes()
  unsafe decoded.fill { output in
    // The zeros are there already. Each store is inside: it ends at `count` at the latest.
    var place = zeros
    for index in (0..<used).reversed() {
      let isTop = index == used - 1
      let limb = isTop ? limbs[index] << UInt64(8 * unused) : limbs[index]
      unsafe output.storeBytes(of: limb.bigEndian, toByteOffset: place, as: UInt64.self)
      place += isTop ? 8 - unused : 8
    }
    return count
  }
  return decoded
}

private func encodeBits(
  _ bytes: RawSpan, width: UInt32, _ alphabet: StaticString, to output: inout ByteBuffer
) {
  var held: UInt32 = 0
  var bits: UInt32 = 0
  let mask: UInt32 = (1 << width) - 1
  output.reserve(bytes.byteCount * 2)
  for offset in 0..<bytes.byteCount {
    held = held << 8 | UInt32(bytes.byte(offset))
    bits += 8
    while bits >= width {
      bits -= width
      output.append(alphabet.byte(Int(held >> bits & mask)))
    }
    held &= (1 << bits) - 1
  }
  if bits > 0 { output.append(alphabet.byte(Int(held << (width - bits) & mask))) }
}

/// Base32, the base of every Etag: five bytes at a time, all lanes of a word at once.
private func encodeBase32(_ bytes: RawSpan, letters: UInt8, to output: inout ByteBuffer) {
  output.reserve((bytes.byteCount + 4) / 5 * 8)
  var offset = 0
  while offset < bytes.byteCount {
    let count = min(5, bytes.byteCount - offset)
    var bits: UInt64 = 0
    for place in 0..<5 {
      bits = bits << 8 | (place < count ? UInt64(bytes.byte(offset + place)) : 0)
    }
    let digits = base32Digits(bits, letters: letters)
    unsafe withUnsafeBytes(of: digits.littleEndian) { word in
      unsafe output.append(RawSpan(_unsafeBytes: word).extracting(first: (count * 8 + 4) / 5))
    }
    offset += count
  }
}

/// Eight base32 digits of 40 bits, the first in the lowest byte; the inverse of `base32Bits`.
@inline(__always)
private func base32Digits(_ bits: UInt64, letters: UInt8) -> UInt64 {
  func lanes(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
  let twenties = bits & 0xf_ffff | (bits >> 20) << 32
  let tens = twenties & 0x0000_03ff_0000_03ff | (twenties & 0x000f_fc00_000f_fc00) << 6
  let values = (tens & 0x001f_001f_001f_001f | (tens & 0x03e0_03e0_03e0_03e0) << 3).byteSwapped
  // The values from 26 on are written 2 to 7.
  let isDigit = ((values &+ lanes(0x80 - 26)) >> 7) & lanes(1)
  return values &+ lanes(UInt64(letters)) &- isDigit &* UInt64(letters &+ 26 &- 0x32)
}

/// `group` is how many digits fit a limb, so that a limb times 2^32 fits 64 bits.
@inline(__always)
private func encodeRadix(
  _ bytes: RawSpan, _ alphabet: StaticString, radix: UInt64, group: Int,
  to output: inout ByteBuffer
) {
  var modulus: UInt64 = 1
  for _ in 0..<group { modulus *= radix }
  // 160 bytes are 44 limbs of 58^5; the least significant first.
  var limbStorage = InlineArray<48, UInt64>(repeating: 0)
  var limbs = limbStorage.mutableSpan
  var used = 0
  var zeros = 0
  while zeros < bytes.byteCount, bytes.byte(zeros) == 0 { zeros += 1 }
  var offset = zeros
  while offset < bytes.byteCount {
    // The first word takes the odd bytes, so that all later ones are whole.
    let end = offset + ((bytes.byteCount - offset - 1) % 4 + 1)
    var carry: UInt64 = 0
    while offset < end {
      carry = carry << 8 | UInt64(bytes.byte(offset))
      offset += 1
    }
    for index in 0..<used {
      let (quotient, rest) = (limbs[index] << 32 | carry).quotientAndRemainder(dividingBy: modulus)
      limbs[index] = rest
      carry = quotient
    }
    while carry > 0 {
      limbs[used] = carry % modulus
      used += 1
      carry /= modulus
    }
  }
  for _ in 0..<zeros { output.append(alphabet.byte(0)) }
  for index in (0..<used).reversed() {
    var scale = modulus / radix
    // The top limb has no leading zero digits.
    if index == used - 1 { while limbs[index] < scale { scale /= radix } }
    while scale > 0 {
      output.append(alphabet.byte(Int(limbs[index] / scale % radix)))
      scale /= radix
    }
  }
}

extension StaticString {
  /// The byte at an offset below the text's count (a trap otherwise).
  fileprivate func byte(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < utf8CodeUnitCount)
    return unsafe utf8Start[offset]
  }
}
