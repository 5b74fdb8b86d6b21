import IPFS
import TestKit

/// A value of one of the table's dimensions, with the name that it has in a case's name.
struct Choice: Sendable {
  var name: String
  var value: String

  init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
  init(_ value: String) { self.init(value, value) }
}

/// How the root's CID is written.
enum Spelling: String, CaseIterable, Sendable {
  case own = "as it is"
  case version0 = "version 0"
  case base16, base16Upper, base32Upper, base36, base36Upper, base58, base64URL

  /// Nil where the CID cannot be written so.
  func text(_ cid: CID) -> String? {
    switch self {
    case .own: "\(cid)"
    case .version0: (try? cid.version0()).map { "\($0)" }
    case .base16: cid.text(in: .base16)
    case .base16Upper: cid.text(in: .base16Upper)
    case .base32Upper: cid.text(in: .base32Upper)
    case .base36: cid.text(in: .base36)
    case .base36Upper: cid.text(in: .base36Upper)
    case .base58: cid.text(in: .base58)
    case .base64URL: cid.text(in: .base64URL)
    }
  }
}

/// What the request's Host is.
enum HostForm: String, CaseIterable, Sendable {
  case address
  /// `<cid>.ipfs.dweb.test`, or the name of `/ipns` in one label.
  case subdomain
  /// A path on the host that has subdomains: redirected there.
  case gatewayHost = "path on dweb.test"
  /// A host whose DNSLink leads to the content.
  case dnsLink = "DNSLink host"
}

/// Conditional fields; those of If-Range come with a Range.
enum Condition: String, CaseIterable, Sendable {
  case noneEqual = "If-None-Match equal"
  case noneWeak = "If-None-Match weak"
  case noneList = "If-None-Match list"
  case noneAny = "If-None-Match *"
  case noneOther = "If-None-Match other"
  case noneUnquoted = "If-None-Match unquoted"
  case matchEqual = "If-Match equal"
  case matchAny = "If-Match *"
  case matchOther = "If-Match other"
  case rangeEqual = "If-Range equal"
  case rangeWeak = "If-Range weak"
  case rangeOther = "If-Range other"
  case noneEqualOfRange = "If-None-Match equal with Range"

  var isIfRange: Bool { self == .rangeEqual || self == .rangeWeak || self == .rangeOther }

  func fields(etag: String) -> [(name: String, value: String)] {
    let strong = etag.hasPrefix("W/") ? String(etag.dropFirst(2)) : etag
    let range = (name: "Range", value: "bytes=10-19")
    return switch self {
    case .noneEqual: [("If-None-Match", etag)]
    case .noneWeak: [("If-None-Match", "W/" + strong)]
    case .noneList: [("If-None-Match", "\"x\", \(etag), \"y\"")]
    case .noneAny: [("If-None-Match", "*")]
    case .noneOther: [("If-None-Match", "\"x\"")]
    case .noneUnquoted: [("If-None-Match", strong.filter { $0 != "\"" })]
    case .matchEqual: [("If-Match", etag)]
    case .matchAny: [("If-Match", "*")]
    case .matchOther: [("If-Match", "\"x\"")]
    case .rangeEqual: [("If-Range", etag), range]
    case .rangeWeak: [("If-Range", "W/" + strong), range]
    case .rangeOther: [("If-Range", "\"x\""), range]
    case .noneEqualOfRange: [("If-None-Match", etag), range]
    }
  }
}

/// One request of the table: a point in the dimensions that requests differ in.
struct FormCase: Sendable {
  var content: ContentForm
  /// `format=…` and what belongs to it.
  var format: Choice?
  /// The query's other parameters.
  var query: Choice?
  var accept: Choice?
  var range: Choice?
  var host = HostForm.address
  var spelling = Spelling.own
  var method = "GET"
  var condition: Condition?
  var onlyIfCached = false
  var serviceWorker = false

  init(_ content: ContentForm) { self.content = content }

  /// Says all that is not as in a plain request.
  var name: String {
    var words = [content.rawValue]
    if let format { words.append("?\(format.name)") }
    if let query { words.append("?\(query.name)") }
    if let accept { words.append("Accept \(accept.name)") }
    if let range { words.append("Range \(range.name)") }
    if host != .address { words.append(host.rawValue) }
    if spelling != .own { words.append(spelling.rawValue) }
    if method != "GET" { words.append(method) }
    if let condition { words.append(condition.rawValue) }
    if onlyIfCached { words.append("only-if-cached") }
    if serviceWorker { words.append("Service-Worker") }
    return words.joined(separator: " · ")
  }

  /// The request, without its conditions; nil where the content cannot be asked for in this way.
  func question(_ place: Placement) -> Question? {
    guard var path = path(place) else { return nil }
    var query = [place.query.map { $0 + (place.root.map { "\($0)" } ?? "") + encodedTail(place) }]
    query += [format?.value, self.query?.value]
    let asked = query.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "&")
    if !asked.isEmpty { path += "?" + asked }
    var question = Question(path)
    question.method = method
    switch host {
    case .address: break
    case .subdomain:
      guard let label = label(place) else { return nil }
      question.host = "\(label).\(place.namespace).dweb.test"
    case .gatewayHost: question.host = "dweb.test"
    case .dnsLink:
      guard let name = place.name else { return nil }
      question.host = name
    }
    if let accept { question.fields.append(("Accept", accept.value)) }
    if let range { question.fields.append(("Range", range.value)) }
    if onlyIfCached { question.fields.append(("Cache-Control", "only-if-cached")) }
    if serviceWorker { question.fields.append(("Service-Worker", "script")) }
    return question
  }

  private func encodedTail(_ place: Placement) -> String {
    place.tail.split(separator: "/").map { "%2F" + $0 }.joined()
  }

  private func path(_ place: Placement) -> String? {
    if place.query != nil { return place.prefix }
    switch host {
    case .subdomain, .dnsLink: return place.tail.isEmpty ? "/" : place.tail
    case .address, .gatewayHost:
      guard let root = rootText(place) else { return nil }
      return place.prefix + root + place.tail
    }
  }

  private func rootText(_ place: Placement) -> String? {
    if let text = place.rootText { return spelling == .own ? text : nil }
    return place.root.flatMap(spelling.text)
  }

  private func label(_ place: Placement) -> String? {
    guard place.query == nil, let text = rootText(place) else { return nil }
    guard place.namespace == "ipns" else { return text }
    return text.map { $0 == "-" ? "--" : $0 == "." ? "-" : String($0) }.joined()
  }
}
