internal import Base

/// Media types of files by a name's extension, as a machine with a usual table has them.
enum ContentType {
  /// The type of a name; nil where it has no extension, or none that is known.
  static func of(name: [UInt8]) -> String? {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot < name.count - 1 else { return nil }
    let `extension` = name[(dot + 1)...].map(\.asciiLowercased)
    guard `extension`.count <= 12 else { return nil }
    return byExtension[String(decoding: `extension`, as: UTF8.self)]
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
