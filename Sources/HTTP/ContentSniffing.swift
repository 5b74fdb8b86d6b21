internal import Base

extension MediaType {
  /// How many bytes of a file's start `sniff` has any use for.
  public static let sniffedBytes = 512

  /// The type that a file's first bytes look like, where no name says it.
  ///
  /// A small table of what stands in the web, in the order and with the parameters of the library that
  /// gateways use for it (github.com/gabriel-vasile/mimetype); HTML without a charset, which they leave to
  /// the page.
  public static func sniff(_ start: [UInt8]) -> String {
    for (offset, magic, type) in signatures {
      if start.count >= offset + magic.count, start[offset...].starts(with: magic) { return type }
    }
    if start.starts(with: "RIFF".utf8), start.count >= 12 {
      if start[8...].starts(with: "WEBP".utf8) { return "image/webp" }
      if start[8...].starts(with: "WAVE".utf8) { return "audio/wav" }
    }
    guard isText(start) else { return "application/octet-stream" }
    return textType(start)
  }

  private static let signatures: [(offset: Int, magic: [UInt8], type: String)] = [
    (0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "image/png"),
    (0, [0xff, 0xd8, 0xff], "image/jpeg"),
    (0, Array("GIF87a".utf8), "image/gif"),
    (0, Array("GIF89a".utf8), "image/gif"),
    (0, Array("%PDF-".utf8), "application/pdf"),
    (4, Array("ftyp".utf8), "video/mp4"),
    (0, [0x1a, 0x45, 0xdf, 0xa3], "video/webm"),
    (0, Array("ID3".utf8), "audio/mpeg"),
    (0, [0xff, 0xfb], "audio/mpeg"),
    (0, Array("OggS".utf8), "audio/ogg"),
    (0, [0x50, 0x4b, 0x03, 0x04], "application/zip"),
    (0, [0x1f, 0x8b, 0x08], "application/gzip"),
    (0, [0x00, 0x61, 0x73, 0x6d], "application/wasm"),
  ]

  // MARK: Text

  private static func textType(_ start: [UInt8]) -> String {
    let trimmed = start.drop { $0 == 0x20 || (0x09...0x0d).contains($0) }
    if looksLikeHTML(trimmed) { return "text/html" }
    if contains(start, "<svg") { return "image/svg+xml" }
    if trimmed.starts(with: "<?xml".utf8) { return "text/xml; charset=utf-8" }
    if isJSON(Array(trimmed)) { return "application/json" }
    if trimmed.starts(with: "{\\rtf".utf8) { return "text/rtf" }
    if trimmed.starts(with: "BEGIN:VCARD".utf8) { return "text/vcard" }
    if trimmed.starts(with: "BEGIN:VCALENDAR".utf8) { return "text/calendar" }
    return charset(start).map { "text/plain; charset=\($0)" } ?? "text/plain"
  }

  private static let byteOrderMarks: [(mark: [UInt8], charset: String)] = [
    ([0xef, 0xbb, 0xbf], "utf-8"), ([0x00, 0x00, 0xfe, 0xff], "utf-32be"),
    ([0xff, 0xfe, 0x00, 0x00], "utf-32le"), ([0xfe, 0xff], "utf-16be"),
    ([0xff, 0xfe], "utf-16le"),
  ]

  /// Whether it says so, or there are none of the bytes that text does not have
  /// (mimesniff.spec.whatwg.org, binary data byte).
  private static func isText(_ start: [UInt8]) -> Bool {
    if byteOrderMarks.contains(where: { start.starts(with: $0.mark) }) { return true }
    return start.allSatisfy { byte in
      byte >= 0x20 || byte == 0x1b || (0x09...0x0d).contains(byte) && byte != 0x0b
    }
  }

  private static func charset(_ start: [UInt8]) -> String? {
    if start.isEmpty { return "utf-8" }
    if let marked = byteOrderMarks.first(where: { start.starts(with: $0.mark) }) {
      return marked.charset
    }
    if start.allSatisfy({ $0 < 0x80 }) { return "utf-8" }
    // The last character may be cut off.
    for dropped in 0..<min(4, start.count) {
      let rest = start.dropLast(dropped)
      guard dropped == 0 || start[rest.count] >= 0xc0 else { continue }
      if rest.contains(where: { $0 >= 0x80 }), String(validating: rest, as: UTF8.self) != nil {
        return "utf-8"
      }
    }
    return start.contains { (0x80...0x9f).contains($0) } ? "windows-1252" : "iso-8859-1"
  }

  private static let htmlTags = [
    "<!doctype html", "<html", "<head", "<script", "<iframe", "<h1", "<div", "<font", "<table",
    "<a",
    "<style", "<title", "<b", "<body", "<br", "<p",
  ].map { Array($0.utf8) }

  /// Whether a tag of HTML, with something behind it, or a comment comes first.
  private static func looksLikeHTML(_ text: ArraySlice<UInt8>) -> Bool {
    if text.starts(with: "<!--".utf8) { return true }
    let lower = text.prefix(16).map(\.asciiLowercased)
    return htmlTags.contains { tag in
      lower.count > tag.count && lower.starts(with: tag)
        && (lower[tag.count] == UInt8(ascii: " ") || lower[tag.count] == UInt8(ascii: ">"))
    }
  }

  private static func contains(_ text: [UInt8], _ wanted: StaticString) -> Bool {
    let bytes = text.rawBytes
    return bytes.contains(wanted)
  }

  // MARK: JSON

  /// Whether it is an object or a list of JSON (RFC 8259); numbers and texts alone are not taken for it.
  ///
  /// A file's start may end in the midst of it.
  private static func isJSON(_ text: [UInt8]) -> Bool {
    guard text.count >= 2, text[0] == UInt8(ascii: "{") || text[0] == UInt8(ascii: "[") else {
      return false
    }
    switch JSONScan.outcome(text) {
    case .whole: return true
    case .cutOff: return text.count >= sniffedBytes / 2
    case .malformed: return false
    }
  }
}
