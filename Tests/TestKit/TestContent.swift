import Base
import Foundation
import IPFS
import Origin

/// Bytes and the CID that names them.
public struct TestContent: Sendable {
  public let cid: CID
  public let body: [UInt8]

  public init(cid: CID, body: [UInt8]) { (self.cid, self.body) = (cid, body) }

  /// A raw block of its own.
  public static func raw(_ body: [UInt8]) throws -> TestContent {
    guard let cid = CID(sha256Of: body.rawBytes, codec: .raw) else {
      throw TestFailure("no SHA-256")
    }
    return TestContent(cid: cid, body: body)
  }

  /// A file under a dag-pb CID that no one can check without its blocks.
  public static func opaque(_ body: [UInt8]) throws -> TestContent {
    let start = Array(body.prefix(4096)) + [0]
    guard let cid = CID(sha256Of: start.rawBytes, codec: .dagPB) else {
      throw TestFailure("no SHA-256")
    }
    return TestContent(cid: cid, body: body)
  }

  public var path: String { "/ipfs/\(cid)" }
  public var etag: String { spelledEtag ?? "\"\(cid)\"" }
  /// The Etag in another spelling of the CID, where that is due.
  public var spelledEtag: String?
}

/// Bytes that look like noise and are the same at every run.
public func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
    let raw = UnsafeMutableRawBufferPointer(buffer)
    var state = seed
    var offset = 0
    while offset < count {
      // SplitMix64.
      state &+= 0x9E37_79B9_7F4A_7C15
      var word = state
      word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
      word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
      word ^= word >> 31
      let size = min(8, count - offset)
      withUnsafeBytes(of: word) { bytes in
        let room = UnsafeMutableRawBufferPointer(rebasing: raw[offset..<offset + size])
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
      }
      offset += size
    }
    written = count
  }
}

/// Whether bytes are those of a part of others; fast without optimisation.
public func isSame(_ bytes: [UInt8], _ other: [UInt8], _ part: Range<Int>? = nil) -> Bool {
  let part = part ?? 0..<other.count
  guard bytes.count == part.count, part.upperBound <= other.count else { return false }
  return bytes.withUnsafeBytes { one in
    other.withUnsafeBytes { two in
      guard let first = one.baseAddress, let second = two.baseAddress else { return true }
      return memcmp(first, second.advanced(by: part.lowerBound), bytes.count) == 0
    }
  }
}

/// A CAR file with the files and directories that a test adds.
public struct TestSite {
  public private(set) var builder = UnixFSBuilder()
  private var roots: [CID] = []

  public init() {}

  /// Adds a file as `ipfs add --cid-version=1` would.
  public mutating func add(_ body: [UInt8]) throws -> TestContent {
    let node = try builder.addFile(body)
    roots.append(node.cid)
    return TestContent(cid: node.cid, body: body)
  }

  /// Adds a file that is one block many times over.
  public mutating func add(_ block: [UInt8], times: Int) throws -> CID {
    let part = try builder.addRaw(block)
    let node = try builder.addFile(of: Array(repeating: part, count: times))
    roots.append(node.cid)
    return node.cid
  }

  /// Adds a directory of files.
  public mutating func add(folder: [String: [UInt8]]) throws -> CID {
    var entries: [String: UnixFSBuilder.Node] = [:]
    for (name, body) in folder { entries[name] = try builder.addFile(body) }
    let node = try builder.addDirectory(entries)
    roots.append(node.cid)
    return node.cid
  }

  public var car: [UInt8] { builder.car(roots: roots) }
}

extension CID {
  /// The CID in another base.
  public func text(in base: Multibase) -> String {
    var output = ByteBuffer(capacity: 128)
    appendText(in: base, to: &output)
    return output.readable.text
  }
}
