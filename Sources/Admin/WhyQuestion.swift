internal import Base
internal import Gateway
internal import HTTP
internal import IPFS

/// What `/api/v1/why` is asked, by its query.
struct WhyQuestion: Equatable {
  var target: String
  var host: String
  var accept = ""
  /// The client whose servers are wanted; nil for one that nothing is known of.
  var client: NetworkAddress?

  var content: ContentQuestion { ContentQuestion(target: target, host: host, accept: accept) }

  /// - Parameter host: the one that a path is asked at where the query names none.
  init(query: RawSpan, host: String) throws(AdminRefusal) {
    self.host = host
    var target: String?
    var parameters = QueryParameters(query)
    while let parameter = parameters.next() {
      let name = String(decoding: PercentCoding.query(query.bytes(parameter.name)), as: UTF8.self)
      let value = String(decoding: PercentCoding.query(query.bytes(parameter.value)), as: UTF8.self)
      switch name {
      case "url", "path": target = value
      case "host": self.host = value
      case "accept": accept = value
      case "client":
        guard let address = NetworkAddress(value) else {
          throw AdminRefusal(
            status: 400, error: "client: \(value) is no address",
            hint: "write 192.0.2.7 or 2001:db8::7")
        }
        client = address
      default:
        throw AdminRefusal(
          status: 400, error: "there is no parameter \(name)",
          hint: "there are url, path, host, accept and client")
      }
    }
    guard let target, !target.isEmpty else {
      throw AdminRefusal(
        status: 400, error: "nothing is asked about",
        hint: "name it by ?url=, as /ipfs/<cid>/…, ipfs://<cid>/…, a CID, or a whole URL")
    }
    self.target = try Self.target(target)
    // A URL brings its own (RFC 9112, section 3.2.2).
    if let own = Self.host(of: self.target) { self.host = own }
    // A line's end would begin another field.
    guard [self.target, self.host, accept].allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 } })
    else {
      throw AdminRefusal(status: 400, error: "a control character stands in the question")
    }
  }

  /// The host and port of a URL; nil for a path.
  private static func host(of target: String) -> String? {
    guard !target.hasPrefix("/"), let start = target.firstRange(of: "://") else { return nil }
    return String(target[start.upperBound...].prefix { $0 != "/" && $0 != "?" })
  }

  /// The request-target of what people write: a path, a CID, an `ipfs://` address, a URL.
  private static func target(_ text: String) throws(AdminRefusal) -> String {
    let lower = text.lowercased()
    if text.hasPrefix("/") || lower.hasPrefix("http://") || lower.hasPrefix("https://") {
      return text
    }
    for namespace in ["ipfs", "ipns"] where lower.hasPrefix("\(namespace)://") {
      return "/\(namespace)/" + text.dropFirst(namespace.utf8.count + 3)
    }
    let first = text.prefix { $0 != "/" && $0 != "?" }
    if (try? CID.parse(Array(first.utf8).rawBytes)) != nil { return "/ipfs/" + text }
    if lower.hasPrefix("ipfs/") || lower.hasPrefix("ipns/") { return "/" + text }
    if first.contains(".") { return "http://" + text }
    throw AdminRefusal(
      status: 400, error: "\(text) is neither a path nor a CID nor a URL",
      hint: "write /ipfs/<cid>/…, ipfs://<cid>/…, a CID, or a whole URL")
  }
}
