internal import Base

/// Media types of files by a name's extension.
public enum MediaType {
  /// The type that Go's own table, and with it every gateway, gives a name's extension.
  ///
  /// Nil where the name has none, or one that depends on the machine that a gateway runs on: then only
  /// that gateway knows.
  public static func sure(ofName name: [UInt8]) -> StaticString? {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    let written = name[(dot + 1)...].map(\.asciiLowercased)
    switch String(decoding: written.prefix(8), as: UTF8.self) {
    case "avif": return "image/avif"
    case "css": return "text/css; charset=utf-8"
    case "gif": return "image/gif"
    // Gateways leave the charset to the page.
    case "htm", "html": return "text/html"
    case "jpeg", "jpg": return "image/jpeg"
    case "js", "mjs": return "text/javascript; charset=utf-8"
    case "json": return "application/json"
    case "pdf": return "application/pdf"
    case "png": return "image/png"
    case "svg": return "image/svg+xml"
    case "wasm": return "application/wasm"
    case "webp": return "image/webp"
    case "xml": return "text/xml; charset=utf-8"
    default: return nil
    }
  }

  /// A name's extension in lower case, with its dot; empty where it has none.
  public static func fileExtension(_ name: [UInt8]) -> [UInt8] {
    name.lastIndex(of: UInt8(ascii: ".")).map { name[$0...].map(\.asciiLowercased) } ?? []
  }
}
