internal import Base
public import HTTP

/// What the rules ask of a request, copied out of the connection's buffer.
public struct OriginRequest: Sendable {
  public var method: Method
  /// As sent.
  public var path: [UInt8]
  /// As sent, without the question mark.
  public var query: [UInt8]
  public var accept: [[UInt8]] = []
  public var host: [UInt8] = []
  public var forwardedHost: [UInt8]?
  public var forwardedProto: [UInt8]?
  public var cacheControl: [UInt8]?
  public var ifMatch: [UInt8]?
  public var ifModifiedSince: [UInt8]?
  public var ifNoneMatch: [UInt8]?
  public var ifRange: [UInt8]?
  public var ifUnmodifiedSince: [UInt8]?
  public var range: [UInt8]?
  public var serviceWorker: [UInt8]?

  /// A request of a target, path and query, and no fields.
  public init(_ method: Method, target: String) {
    self.method = method
    let bytes = Array(target.utf8)
    let mark = bytes.firstIndex(of: UInt8(ascii: "?"))
    path = Array(bytes[..<(mark ?? bytes.count)])
    query = mark.map { Array(bytes[($0 + 1)...]) } ?? []
  }

  public init(_ head: RequestHead, _ text: RawSpan) {
    method = head.method
    path = text.bytes(head.path).array
    query = text.bytes(head.query).array
    for field in head.fields { set(field.token, text.bytes(field.value)) }
  }

  /// Adds a field; of all but Accept the first one counts.
  public mutating func set(_ token: FieldToken, _ value: RawSpan) {
    switch token {
    case .accept: accept.append(value.array)
    case .host: host = host.isEmpty ? value.array : host
    case .xForwardedHost: forwardedHost = forwardedHost ?? value.array
    case .xForwardedProto: forwardedProto = forwardedProto ?? value.array
    case .cacheControl: cacheControl = cacheControl ?? value.array
    case .ifMatch: ifMatch = ifMatch ?? value.array
    case .ifModifiedSince: ifModifiedSince = ifModifiedSince ?? value.array
    case .ifNoneMatch: ifNoneMatch = ifNoneMatch ?? value.array
    case .ifRange: ifRange = ifRange ?? value.array
    case .ifUnmodifiedSince: ifUnmodifiedSince = ifUnmodifiedSince ?? value.array
    case .range: range = range ?? value.array
    case .serviceWorker: serviceWorker = serviceWorker ?? value.array
    default: break
    }
  }

  /// The decoded value of a query parameter; nil where it is absent.
  func parameter(_ name: StaticString) -> [UInt8]? {
    let text = query.rawBytes
    var parameters = QueryParameters(text)
    while let parameter = parameters.next() {
      let decoded = PercentText.decodeQuery(text.bytes(parameter.name))
      if decoded.rawBytes.equals(name) {
        return PercentText.decodeQuery(text.bytes(parameter.value))
      }
    }
    return nil
  }

  func hasParameter(_ name: StaticString, _ value: String) -> Bool {
    parameter(name).map { $0.elementsEqual(value.utf8) } ?? false
  }

  /// A parameter's text; nil where it is absent or empty.
  func text(_ name: StaticString) -> String? {
    parameter(name).flatMap { $0.isEmpty ? nil : String(decoding: $0, as: UTF8.self) }
  }

  /// The name that the client wants the answer to be saved under.
  var fileName: [UInt8]? { parameter("filename").flatMap { $0.isEmpty ? nil : $0 } }
  /// Whether the client wants to save the answer, not to show it.
  var isDownload: Bool { hasParameter("download", "true") }

  /// Only the exact value counts, as in boxo.
  var isOnlyIfCached: Bool { cacheControl?.elementsEqual("only-if-cached".utf8) ?? false }
  /// Whether a browser asks for a service worker's script.
  var isServiceWorker: Bool { serviceWorker?.elementsEqual("script".utf8) ?? false }
  /// Whether the client came by HTTPS, as a proxy in front says.
  var isHTTPS: Bool { forwardedProto?.elementsEqual("https".utf8) ?? false }

  /// A path with this request's query.
  func target(path: [UInt8]) -> String {
    let bytes = query.isEmpty ? path : path + [UInt8(ascii: "?")] + query
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether the client would show HTML.
  var acceptsHTML: Bool {
    // The text anywhere in the first field will do, as in boxo.
    accept.first?.contains("text/html".utf8) ?? false
  }

  /// A media type without its parameters and blanks, in lower case.
  static func mediaType(_ entry: ArraySlice<UInt8>) -> [UInt8] {
    entry.prefix { $0 != UInt8(ascii: ";") }.filter { !$0.isBlank }.map(\.asciiLowercased)
  }
}
