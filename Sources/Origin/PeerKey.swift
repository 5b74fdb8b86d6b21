internal import Base
internal import IPFS

/// The keys of IPNS names in their spellings (specs.ipfs.tech/ipns; libp2p peer ids).
enum PeerKey {
  /// The key that a text names, as a version 1 CID of the codec libp2p-key; nil where it names none.
  ///
  /// `12D3Koo…` and `Qm…` are bare multihashes in base58; everything else must be a CID of that codec.
  static func parse(_ text: [UInt8]) -> CID? {
    if text.first == UInt8(ascii: "1") || text.starts(with: "Qm".utf8) {
      let spelled = [UInt8(ascii: "z")] + text
      guard let multihash = try? Multibase.decode(spelled.rawBytes) else { return nil }
      var binary: [UInt8] = [1, UInt8(ContentCodec.libp2pKey.rawValue)]
      binary += multihash.bytes.array
      guard let parsed = try? CID.parse(binary: binary.rawBytes), parsed.count == binary.count
      else { return nil }
      return parsed.cid
    }
    guard let cid = try? CID.parse(text.rawBytes), cid.codec == .libp2pKey else { return nil }
    return cid
  }

  /// Base36, in which a key's CID fits into a host's label.
  static func text(_ key: CID) -> String {
    var output = ByteBuffer(capacity: 128)
    key.appendText(in: .base36, to: &output)
    return output.readable.text
  }
}
