public import Base
public import IPFS

/// The labels by which subdomain gateways name content, and back (the subdomain gateway specification).
public enum HostLabel {
  /// The longest label that DNS can hold (RFC 1035, 2.3.4).
  public static let maximumBytes = 63

  /// Whether the bytes are 1 to 63 letters, digits, hyphens and underscores.
  static func isLabel(_ text: RawSpan) -> Bool {
    guard (1...maximumBytes).contains(text.byteCount) else { return false }
    for offset in 0..<text.byteCount {
      let byte = text.byte(offset)
      let isLetter = (0x61...0x7a).contains(byte.asciiLowercased)
      guard isLetter || byte.isASCIIDigit || byte == hyphen || byte == UInt8(ascii: "_") else {
        return false
      }
    }
    return true
  }

  private static let hyphen = UInt8(ascii: "-")
  private static let dot = UInt8(ascii: ".")

  /// Appends the label of content: below ipfs version 1 in base32, below ipns its key in base36.
  ///
  /// What is too long for a label in base32 is written in base36, which is shorter. A key that is not
  /// written as one (`Qm…`, the hash of an RSA key) becomes one.
  ///
  /// - Returns: Whether it fits; if not, as with SHA-512, nothing is appended and there is no such host.
  public static func append(
    _ cid: CID, in namespace: ContentPath.Namespace, to output: inout ByteBuffer
  ) -> Bool {
    switch namespace {
    case .ipfs:
      return append(cid, .base32, to: &output) || append(cid, .base36, to: &output)
    case .ipns:
      return append(key(cid), .base36, to: &output)
    }
  }

  private static func append(
    _ cid: CID, _ base: Multibase, to output: inout ByteBuffer
  ) -> Bool {
    let before = output.count
    cid.appendText(in: base, to: &output)
    let count = output.count - before
    if count > maximumBytes { output.dropLast(count) }
    return count <= maximumBytes
  }

  /// The key that a CID below ipns means.
  private static func key(_ cid: CID) -> CID {
    guard cid.codec == .dagPB else { return cid }
    return (try? CID(codec: .libp2pKey, hash: cid.hash, digest: cid.digest)) ?? cid
  }

  /// Appends a DNSLink name as one label: `-` becomes `--`, and then `.` becomes `-`.
  ///
  /// Letters become lower-case; a final dot is left out.
  ///
  /// - Returns: Whether that fits a label; if not, or if it is no host name, nothing is appended.
  public static func append(inlined name: RawSpan, to output: inout ByteBuffer) -> Bool {
    var end = name.byteCount
    if end > 1, name.byte(end - 1) == dot { end -= 1 }
    guard HostPattern.isName(name.extracting(0..<end)) else { return false }
    let before = output.count
    for offset in 0..<end {
      let byte = name.byte(offset)
      if byte == hyphen { output.append(hyphen) }
      output.append(byte == dot ? hyphen : byte.asciiLowercased)
    }
    let count = output.count - before
    if count > maximumBytes { output.dropLast(count) }
    return count <= maximumBytes
  }

  /// Appends the DNSLink name that a label stands for: `--` is `-`, any other `-` is `.`.
  ///
  /// A label may be a key or a name of one label too: first see whether it is a CID.
  ///
  /// - Returns: Whether that is a host name; if not, nothing is appended.
  public static func append(restored label: RawSpan, to output: inout ByteBuffer) -> Bool {
    guard isLabel(label) else { return false }
    let before = output.count
    var offset = 0
    while offset < label.byteCount {
      let byte = label.byte(offset).asciiLowercased
      offset += 1
      guard byte == hyphen else {
        output.append(byte)
        continue
      }
      let isDoubled = offset < label.byteCount && label.byte(offset) == hyphen
      output.append(isDoubled ? hyphen : dot)
      if isDoubled { offset += 1 }
    }
    let count = output.count - before
    let isName = HostPattern.isName(output.readable.extracting(before..<output.count))
    if !isName { output.dropLast(count) }
    return isName
  }
}
