public import Base

/// A link of a dag-pb node; its ranges lie in the node's block.
public struct PBLink: Sendable {
  /// The binary CID, known to be well-formed.
  public let hash: ByteRange
  /// The name as bytes; empty where there is none.
  public let name: ByteRange
  /// Bytes of everything below, as the node's maker says; not to be trusted.
  public let totalSize: UInt64

  /// The CID, read from the block the link lies in.
  public func cid(in block: RawSpan) throws(DAGError) -> CID {
    do throws(CIDError) {
      return try CID.parse(binary: block.bytes(hash)).cid
    } catch {
      throw .cid(error)
    }
  }
}

/// A dag-pb node: links and data (ipld.io/specs/codecs/dag-pb).
///
/// Read leniently in the order of fields, strictly in everything else.
public struct PBNode: Sendable {
  /// The largest block that peers pass on.
  public static let maximumBlock = 2 * 1024 * 1024
  /// A block of 2 MiB holds some 50,000 links by SHA-256.
  public static let maximumLinks = 65_536

  public let links: [PBLink]
  /// Where the data lies in the block; nil where the field is absent, which is not the same as empty.
  public let data: ByteRange?

  public static func decode(_ block: RawSpan) throws(DAGError) -> PBNode {
    guard block.byteCount <= maximumBlock else { throw .blockTooLarge(block.byteCount) }
    var reader = try ProtobufReader(block, in: ByteRange(start: 0, count: block.byteCount))
    var links: [PBLink] = []
    var data: ByteRange?
    while let (field, value) = try reader.next(block) {
      switch (field, value) {
      case (1, .bytes(let range)):
        guard data == nil else { throw .duplicateField }
        data = range
      case (2, .bytes(let range)):
        guard links.count < maximumLinks else { throw .tooManyLinks }
        links.append(try link(block, in: range))
      default: throw .malformed
      }
    }
    return PBNode(links: links, data: data)
  }

  private static func link(_ block: RawSpan, in range: ByteRange) throws(DAGError) -> PBLink {
    var reader = try ProtobufReader(block, in: range)
    var hash: ByteRange?
    var name: ByteRange?
    var totalSize: UInt64?
    while let (field, value) = try reader.next(block) {
      switch (field, value) {
      case (1, .bytes(let range)):
        guard hash == nil else { throw .duplicateField }
        hash = range
      case (2, .bytes(let range)):
        guard name == nil else { throw .duplicateField }
        name = range
      case (3, .varint(let size)):
        guard totalSize == nil else { throw .duplicateField }
        totalSize = size
      default: throw .malformed
      }
    }
    guard let hash else { throw .missingHash }
    do throws(CIDError) {
      guard try CID.parse(binary: block.bytes(hash)).count == Int(hash.count) else {
        throw .trailingBytes
      }
    } catch {
      throw .cid(error)
    }
    return PBLink(hash: hash, name: name ?? .empty, totalSize: totalSize ?? 0)
  }
}

/// Writes dag-pb in its canonical form: all links first, each with hash, name and size, then the data.
public enum PBEncoder {
  /// Appends a link; call for all links, in the order they shall have, before the data.
  public static func appendLink(
    _ cid: CID, name: RawSpan, totalSize: UInt64, to output: inout ByteBuffer
  ) {
    let hashCount = cid.binaryCount
    let count =
      1 + UInt64(hashCount).varintCount + hashCount
      + 1 + UInt64(name.byteCount).varintCount + name.byteCount
      + 1 + totalSize.varintCount
    output.append(0x12)
    output.append(varint: UInt64(count))
    output.append(0x0a)
    output.append(varint: UInt64(hashCount))
    cid.appendBinary(to: &output)
    output.append(0x12)
    output.append(varint: UInt64(name.byteCount))
    output.append(name)
    output.append(0x18)
    output.append(varint: totalSize)
  }

  public static func appendData(_ data: RawSpan, to output: inout ByteBuffer) {
    output.append(0x0a)
    output.append(varint: UInt64(data.byteCount))
    output.append(data)
  }
}
