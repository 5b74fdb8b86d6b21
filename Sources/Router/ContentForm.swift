internal import Base

/// The form in which content is asked for: what the gateways call its response format.
///
/// The raw value stands in canonical keys, so it is never given another meaning.
public enum ContentForm: UInt8, Sendable, CaseIterable {
  /// The file itself, or a page for a directory.
  case file = 0
  /// `json` and `cbor`: the same bytes for files, the block itself for a block of that codec.
  case json = 1
  case cbor = 2
  /// One block.
  case raw = 3
  case dagJSON = 4
  case dagCBOR = 5
  case car = 6
  case tar = 7
  case ipnsRecord = 8

  /// The value of `?format=`.
  public var name: StaticString {
    switch self {
    case .file: ""
    case .json: "json"
    case .cbor: "cbor"
    case .raw: "raw"
    case .dagJSON: "dag-json"
    case .dagCBOR: "dag-cbor"
    case .car: "car"
    case .tar: "tar"
    case .ipnsRecord: "ipns-record"
    }
  }

  /// The media type that asks for it in Accept; empty for a file.
  public var mediaType: StaticString {
    switch self {
    case .file: ""
    case .json: "application/json"
    case .cbor: "application/cbor"
    case .raw: "application/vnd.ipld.raw"
    case .dagJSON: "application/vnd.ipld.dag-json"
    case .dagCBOR: "application/vnd.ipld.dag-cbor"
    case .car: "application/vnd.ipld.car"
    case .tar: "application/x-tar"
    case .ipnsRecord: "application/vnd.ipfs.ipns-record"
    }
  }

  /// The form of a `?format=`; nil for a value that is not known, which gateways ignore.
  static func named(_ value: RawSpan) -> ContentForm? {
    for form in allCases where form != .file && value.equals(form.name) { return form }
    return nil
  }

  /// The form of a media type without parameters; nil for one that is not known.
  static func of(mediaType: RawSpan) -> ContentForm? {
    for form in allCases where form != .file && mediaType.equalsIgnoringCase(form.mediaType) {
      return form
    }
    return nil
  }

  /// Whether a client may have it in parts.
  public var hasRanges: Bool { self != .car && self != .tar && self != .ipnsRecord }

  /// Whether answers in this form can be kept: those whose end can be told from a broken one.
  public var mayBeKept: Bool { self != .tar && self != .ipnsRecord }
}

/// Which site a page belongs to; redirects and `_redirects` differ between them (gateway digest A6).
///
/// The raw value stands in canonical keys.
public enum OriginMode: UInt8, Sendable {
  /// All content shares one host name.
  case path = 0
  /// `<cid>.ipfs.HOST`: each content has its own.
  case subdomain = 1
  /// A host name of its own, which a DNSLink leads to content.
  case dnslink = 2
}
