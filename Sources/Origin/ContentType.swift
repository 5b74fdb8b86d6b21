internal import Base

/// Media types of files: by a name's extension, else by the first bytes.
enum ContentType {
  /// How many bytes `sniff` looks at (mimesniff.spec.whatwg.org reads 1,445; Go 512).
  static let sniffedBytes = 512

  /// The type of a name; nil where it has no extension, or none that is known.
  static func of(name: [UInt8]) -> String? {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot < name.count - 1 else { return nil }
    let `extension` = name[(dot + 1)...].map(\.asciiLowercased)
    guard `extension`.count <= 12 else { return nil }
    return byExtension[String(decoding: `extension`, as: UTF8.self)]
  }

  /// The type that a file's first bytes look like.
  static func sniff(_ start: [UInt8]) -> String {
    for (offset, magic, type) in signatures {
      if start.count >= offset + magic.count, start[offset...].starts(with: magic) { return type }
    }
    if start.starts(with: "RIFF".utf8), start.count >= 12, start[8...].starts(with: "WEBP".utf8) {
      return "image/webp"
    }
    if looksLikeHTML(start) { return "text/html" }
    return looksLikeText(start) ? "text/plain; charset=utf-8" : "application/octet-stream"
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

  private static let htmlStarts = [
    "<!doctype html", "<html", "<head", "<body", "<script", "<!--",
  ].map { Array($0.utf8) }

  private static func looksLikeHTML(_ start: [UInt8]) -> Bool {
    let text = start.drop { $0 <= 0x20 }.map(\.asciiLowercased)
    return htmlStarts.contains { text.starts(with: $0) }
  }

  /// Whether there are no bytes that text does not have, and what is not ASCII is UTF-8.
  private static func looksLikeText(_ start: [UInt8]) -> Bool {
    for byte in start where byte < 0x20 {
      guard byte == 0x09 || byte == 0x0a || byte == 0x0c || byte == 0x0d || byte == 0x1b else {
        return false
      }
    }
    // The last character may be cut off.
    for dropped in 0..<min(4, start.count) {
      if String(validating: start.dropLast(dropped), as: UTF8.self) != nil { return true }
    }
    return start.isEmpty
  }

  private static let byExtension: [String: String] = [
    "7z": "application/x-7z-compressed", "aac": "audio/aac", "avif": "image/avif",
    "bin": "application/octet-stream", "bmp": "image/bmp", "bz2": "application/x-bzip2",
    "car": "application/vnd.ipld.car", "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8", "epub": "application/epub+zip", "flac": "audio/flac",
    "gif": "image/gif", "glb": "model/gltf-binary", "gz": "application/gzip",
    "htm": "text/html", "html": "text/html", "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg", "jpg": "image/jpeg", "js": "text/javascript; charset=utf-8",
    "json": "application/json", "m3u8": "application/vnd.apple.mpegurl", "m4a": "audio/mp4",
    "md": "text/markdown; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
    "mkv": "video/x-matroska", "mov": "video/quicktime", "mp3": "audio/mpeg",
    "mp4": "video/mp4", "mpd": "application/dash+xml", "ogg": "audio/ogg", "ogv": "video/ogg",
    "opus": "audio/ogg", "otf": "font/otf", "pdf": "application/pdf", "png": "image/png",
    "svg": "image/svg+xml", "tar": "application/x-tar", "tif": "image/tiff",
    "tiff": "image/tiff", "ts": "video/mp2t", "ttf": "font/ttf",
    "txt": "text/plain; charset=utf-8", "wasm": "application/wasm", "wav": "audio/x-wav",
    "webm": "video/webm", "webmanifest": "application/manifest+json", "webp": "image/webp",
    "woff": "font/woff", "woff2": "font/woff2", "xhtml": "application/xhtml+xml",
    "xml": "text/xml; charset=utf-8", "xz": "application/x-xz", "zip": "application/zip",
  ]
}
