import Base
import Foundation
import HTTP
import IPFS

/// A piece of content: its bytes follow from its number, for nodes, clients and the final look alike.
final class Content: Sendable {
  let number: Int
  /// Whether its CID is the hash of its bytes, so that they can be checked.
  let isRaw: Bool
  let bytes: [UInt8]
  /// The CID as text, which the Etag repeats.
  let cid: String
  /// The request target; some are files in a directory.
  let target: String
  let roots: String

  init(number: Int, size: Int, isRaw: Bool) {
    self.number = number
    self.isRaw = isRaw
    bytes = Self.pattern(size, number)
    // A file of several blocks: its CID says nothing of its bytes by themselves.
    let hashed = isRaw ? bytes : Array("file \(number)".utf8)
    cid = Self.cid(of: hashed, isRaw ? .raw : .dagPB)
    if number % 5 == 2 {
      let folder = Self.cid(of: Array("folder \(number)".utf8), .dagPB)
      target = "/ipfs/\(folder)/a%20file-\(number).bin"
      roots = "\(folder),\(cid)"
    } else {
      target = "/ipfs/\(cid)"
      roots = cid
    }
  }

  var etag: String { "\"\(cid)\"" }

  /// Around the ends of slices (64 KiB), of what is copied (16 KiB) and of unkept slices (256 KiB).
  static let sizes = [
    0, 1, 700, 16_383, 16_385, 65_535, 65_536, 65_537, 100_000, 131_072, 131_073, 262_143, 262_145,
    393_216, 400_000,
  ]

  static let all: [Content] = {
    var made: [Content] = []
    for size in sizes + [700_000, 1_060_000, 1_400_000, 2_000_000] {
      made.append(Content(number: made.count, size: size, isRaw: true))
      made.append(Content(number: made.count, size: size, isRaw: false))
    }
    return made
  }()

  static let byTarget = Dictionary(uniqueKeysWithValues: all.map { ($0.target, $0) })
  /// The raw and the several-block twin of size 0 share nothing but emptiness.
  static let byEtag = Dictionary(uniqueKeysWithValues: all.map { ($0.etag, $0) })

  static func pattern(_ count: Int, _ salt: Int) -> [UInt8] {
    var random = SeededRandom(seed: UInt64(salt) &+ 77)
    var words = [UInt64](repeating: 0, count: count / 8 + 1)
    for index in words.indices { words[index] = random.next() }
    return words.withUnsafeBytes { Array($0.prefix(count)) }
  }

  private static func cid(of bytes: [UInt8], _ codec: ContentCodec) -> String {
    CID(sha256Of: bytes.rawBytes, codec: codec)?.description ?? ""
  }

  /// Whether these bytes stand at this offset of the content.
  func matches(_ piece: UnsafeRawBufferPointer, at offset: Int) -> Bool {
    if piece.isEmpty { return true }
    guard offset >= 0, offset + piece.count <= bytes.count, let start = piece.baseAddress else {
      return false
    }
    return bytes.withUnsafeBytes { own in
      own.baseAddress.map { memcmp($0 + offset, start, piece.count) == 0 } ?? false
    }
  }
}
