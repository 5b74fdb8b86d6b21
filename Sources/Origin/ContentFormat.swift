internal import Base
internal import HTTP
internal import IPFS

/// What a client wants of a content: by `?format=`, else by Accept.
///
/// As boxo chooses: an unknown `?format=` is ignored; Accept is read from left to right for the first entry
/// that names a format, whatever its q.
struct ContentFormat: Sendable {
  enum Kind: String, CaseIterable, Sendable {
    case file = ""
    case raw
    case car
    case tar
    case dagJSON = "dag-json"
    case dagCBOR = "dag-cbor"
    case json
    case cbor
    case ipnsRecord = "ipns-record"

    /// The format of blocks that are documents by themselves.
    init?(codec: ContentCodec) {
      switch codec {
      case .json: self = .json
      case .cbor: self = .cbor
      case .dagJSON: self = .dagJSON
      case .dagCBOR: self = .dagCBOR
      default: return nil
      }
    }

    var mediaType: String {
      switch self {
      case .file: "application/octet-stream"
      case .raw: "application/vnd.ipld.raw"
      case .car: "application/vnd.ipld.car"
      case .tar: "application/x-tar"
      case .dagJSON: "application/vnd.ipld.dag-json"
      case .dagCBOR: "application/vnd.ipld.dag-cbor"
      case .json: "application/json"
      case .cbor: "application/cbor"
      case .ipnsRecord: "application/vnd.ipfs.ipns-record"
      }
    }

    init?(mediaType: [UInt8]) {
      let kind = Self.allCases.first { kind in
        kind != .file && kind.mediaType.utf8.elementsEqual(mediaType)
      }
      guard let kind else { return nil }
      self = kind
    }
  }

  var kind = Kind.file
  /// Whether Accept alone chose it, so that Content-Location has to say so.
  var fromAccept = false
  /// Names and values of the media type's parameters, where Accept names this format.
  var parameters: [(name: String, value: String)] = []

  private static let prefixes = [
    "application/vnd.ipld", "application/vnd.ipfs", "application/x-tar", "application/json",
    "application/cbor",
  ].map { Array($0.utf8) }

  static func choose(_ request: OriginRequest) throws(Rejection) -> ContentFormat {
    let accepted = accept(request)
    let asked = request.parameter("format").flatMap { value in
      value.isEmpty ? nil : Kind(rawValue: String(decoding: value, as: UTF8.self))
    }
    guard let accepted else { return ContentFormat(kind: asked ?? .file) }
    let named = Kind(mediaType: OriginRequest.mediaType(accepted))
    if let asked {
      let parameters = named == asked ? try parameters(of: accepted) : []
      return ContentFormat(kind: asked, parameters: parameters)
    }
    guard let named else {
      throw Rejection(
        400, "the format \(String(decoding: accepted, as: UTF8.self)) is not known")
    }
    return ContentFormat(kind: named, fromAccept: true, parameters: try parameters(of: accepted))
  }

  /// The first entry of Accept that asks for a format.
  private static func accept(_ request: OriginRequest) -> ArraySlice<UInt8>? {
    for value in request.accept {
      for entry in value.split(separator: UInt8(ascii: ",")) {
        let type = OriginRequest.mediaType(entry)
        if prefixes.contains(where: { type.starts(with: $0) }) { return entry }
      }
    }
    return nil
  }

  private static func parameters(
    of entry: ArraySlice<UInt8>
  ) throws(Rejection) -> [(name: String, value: String)] {
    var parameters: [(name: String, value: String)] = []
    for pair in entry.split(separator: UInt8(ascii: ";")).dropFirst() {
      let text = pair.filter { !$0.isBlank && $0 != UInt8(ascii: "\"") }
      if text.isEmpty { continue }
      guard let equals = text.firstIndex(of: UInt8(ascii: "=")) else {
        throw Rejection(400, "error while processing the Accept header: a parameter has no value")
      }
      let name = String(decoding: text[..<equals].map(\.asciiLowercased), as: UTF8.self)
      parameters.append((name, String(decoding: text[(equals + 1)...], as: UTF8.self)))
    }
    return parameters
  }
}
