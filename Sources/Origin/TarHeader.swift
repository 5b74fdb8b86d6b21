internal import Base

/// The 512 bytes before a member of a TAR archive (POSIX.1-2001, pax: ustar, and extended headers
/// for what does not fit).
struct TarHeader {
  enum Kind: UInt8 {
    case file = 0x30
    case symlink = 0x32
    case directory = 0x35
    /// Records about the member that follows.
    case extended = 0x78
  }

  static let blockBytes = 512
  private static let nameBytes = 100
  /// 11 octal digits.
  private static let largestSize: Int64 = 0o777_7777_7777

  var kind: Kind
  var path: [UInt8]
  var link: [UInt8] = []
  var size: Int64 = 0
  var mode: UInt32
  /// Seconds since 1970.
  var modified: Int64

  /// Appends the header, with an extended one before it where need be.
  func append(to output: inout ByteBuffer) {
    var records: [UInt8] = []
    if !Self.fits(link) { Self.appendRecord("linkpath", link, to: &records) }
    if !Self.fits(path) { Self.appendRecord("path", path, to: &records) }
    if size > Self.largestSize { Self.appendRecord("size", Array("\(size)".utf8), to: &records) }
    if !records.isEmpty {
      let about = TarHeader(
        kind: .extended, path: Array("PaxHeaders.0".utf8), size: Int64(records.count), mode: 0,
        modified: 0)
      about.appendBlock(to: &output)
      output.append(records)
      Self.pad(records.count, to: &output)
    }
    appendBlock(to: &output)
  }

  /// Fills up the last block of so many bytes.
  static func pad(_ count: Int, to output: inout ByteBuffer) {
    let rest = count % blockBytes
    if rest > 0 { output.append([UInt8](repeating: 0, count: blockBytes - rest)) }
  }

  private static func fits(_ text: [UInt8]) -> Bool {
    text.count <= nameBytes && text.allSatisfy { $0 > 0 && $0 < 0x80 }
  }

  /// `length name=value`, where the length counts itself.
  private static func appendRecord(_ name: String, _ value: [UInt8], to records: inout [UInt8]) {
    let rest = name.utf8.count + value.count + 3
    var length = rest + String(rest).utf8.count
    length = rest + String(length).utf8.count
    records += "\(length) \(name)=".utf8
    records += value
    records.append(UInt8(ascii: "\n"))
  }

  private func appendBlock(to output: inout ByteBuffer) {
    var block = [UInt8](repeating: 0, count: Self.blockBytes)
    func put(_ bytes: some Sequence<UInt8>, _ offset: Int, _ room: Int) {
      for (index, byte) in bytes.prefix(room).enumerated() { block[offset + index] = byte }
    }
    func put(octal number: Int64, _ offset: Int, digits: Int) {
      let text = String(max(0, number), radix: 8)
      let zeros = String(repeating: "0", count: max(0, digits - text.utf8.count))
      put((zeros + text).utf8.suffix(digits), offset, digits)
    }
    put(path.filter { $0 > 0 && $0 < 0x80 }, 0, Self.nameBytes)
    put(octal: Int64(mode & 0o7777), 100, digits: 7)
    put(octal: 0, 108, digits: 7)
    put(octal: 0, 116, digits: 7)
    put(octal: size > Self.largestSize ? 0 : size, 124, digits: 11)
    put(octal: min(modified, Self.largestSize), 136, digits: 11)
    block[156] = kind.rawValue
    put(link.filter { $0 > 0 && $0 < 0x80 }, 157, Self.nameBytes)
    put("ustar\u{0}00".utf8, 257, 8)
    put(octal: 0, 329, digits: 7)
    put(octal: 0, 337, digits: 7)
    // The sum counts its own field as blanks.
    put("        ".utf8, 148, 8)
    let sum = block.reduce(0) { $0 + Int64($1) }
    put(octal: sum, 148, digits: 6)
    block[154] = 0
    output.append(block)
  }
}
