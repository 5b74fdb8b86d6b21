public import Base

/// The value of Content-Disposition (RFC 6266), as gateways write it.
public enum ContentDisposition {
  public enum Kind: Sendable { case inline, attachment }

  /// Appends `attachment; filename="…"; filename*=UTF-8''…`, both names escaped as a path's segment.
  ///
  /// The plain name has `_` for each character that is not ASCII, and for each byte of no character.
  public static func append(_ kind: Kind, name: [UInt8], to output: inout ByteBuffer) {
    output.append(
      kind == .inline ? "inline; filename=\"" as StaticString : "attachment; filename=\"")
    appendPlain(name, to: &output)
    output.append("\"; filename*=UTF-8''")
    for byte in name { appendEscaped(byte, to: &output) }
  }

  private static func appendPlain(_ name: [UInt8], to output: inout ByteBuffer) {
    var bytes = name.makeIterator()
    var parser = Unicode.UTF8.ForwardParser()
    while true {
      switch parser.parseScalar(from: &bytes) {
      case .valid(let encoded):
        let scalar = Unicode.UTF8.decode(encoded)
        appendEscaped(scalar.isASCII ? UInt8(scalar.value) : UInt8(ascii: "_"), to: &output)
      case .error(let length):
        for _ in 0..<length { output.append(UInt8(ascii: "_")) }
      case .emptyInput: return
      }
    }
  }

  private static func appendEscaped(_ byte: UInt8, to output: inout ByteBuffer) {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
      UInt8(ascii: "."), UInt8(ascii: "~"), UInt8(ascii: "$"), UInt8(ascii: "&"),
      UInt8(ascii: "+"), UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "@"):
      output.append(byte)
    default: PercentCoding.appendEscape(of: byte, to: &output)
    }
  }
}
