public import Base

/// Writes CARv1 files (ipld.io/specs/transport/car/carv1).
public enum CARWriter {
  public static func appendHeader(roots: [CID], to output: inout ByteBuffer) {
    var header = ByteBuffer(capacity: 64 + roots.count * 64)
    CARHeader.append(roots: roots, to: &header)
    output.append(varint: UInt64(header.count))
    output.append(header.readable)
  }

  public static func appendBlock(_ cid: CID, _ payload: RawSpan, to output: inout ByteBuffer) {
    appendPrefix(cid, payloadCount: payload.byteCount, to: &output)
    output.append(payload)
  }

  /// Appends what stands before a block's bytes, where those are sent from elsewhere.
  public static func appendPrefix(
    _ cid: CID, payloadCount: Int, to output: inout ByteBuffer
  ) {
    output.append(varint: UInt64(cid.binaryCount + payloadCount))
    cid.appendBinary(to: &output)
  }

  /// How many bytes a section takes with its length and CID.
  public static func sectionCount(_ cid: CID, payloadCount: Int) -> Int {
    let content = cid.binaryCount + payloadCount
    return UInt64(content).varintCount + content
  }
}
