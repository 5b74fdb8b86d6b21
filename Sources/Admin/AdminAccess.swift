public import Base
internal import HTTP

/// Why a request to the admin address is refused, in words for its sender.
struct AdminRefusal: Error, Equatable {
  var status: Int
  var error: String
  /// What to do about it; empty where nothing helps.
  var hint = ""
}

/// Who may read, and who may change something, on the admin address.
public struct AdminAccess: Sendable {
  /// Networks whose clients may read.
  public var allow: NetworkSet
  /// Names that the address may be asked by, in lower case, beside localhost and addresses.
  public var hosts: Set<String>

  public init(allow: NetworkSet, hosts: Set<String> = []) {
    self.allow = allow
    self.hosts = hosts
  }

  /// What a page of the admin address asks of those who want it.
  enum Need {
    /// Nothing: it says no more than that there is somebody.
    case nothing
    /// To come from a network that may read.
    case network
    /// Beside that, to be no page of the web: it could read what an operator's browser may.
    case reading
    /// Beside that, the token, and a body of a kind that pages cannot send.
    case changing
  }

  /// Why a request is refused; nil where it is not.
  ///
  /// - Parameter token: what changes need; nil where there is none, or why it cannot be told.
  func refusal(
    of request: RequestHead, _ text: RawSpan, from peer: NetworkAddress?, _ need: Need,
    token: Result<[UInt8]?, AdminToken.Unusable>
  ) -> AdminRefusal? {
    switch need {
    case .nothing: return nil
    case .network: return networkRefusal(peer)
    case .reading: return networkRefusal(peer) ?? pageRefusal(request, text)
    case .changing:
      return networkRefusal(peer) ?? pageRefusal(request, text)
        ?? tokenRefusal(request, text, token) ?? bodyRefusal(request, text)
    }
  }

  private func networkRefusal(_ peer: NetworkAddress?) -> AdminRefusal? {
    guard let peer, allow.contains(peer) else {
      return AdminRefusal(
        status: 403, error: "this client's network may not read this",
        hint: "admin.allow in gateway.conf lists the networks that may")
    }
    return nil
  }

  /// Whether a page of the web may be behind it: by what browsers say of that, and by a name that somebody
  /// could have let lead here (DNS rebinding).
  private func pageRefusal(_ request: RequestHead, _ text: RawSpan) -> AdminRefusal? {
    let authority = text.bytes(request.authority)
    guard isOwn(authority) else {
      return AdminRefusal(
        status: 421, error: "this server is not asked by the name \(authority.text)",
        hint: "ask by its address or as localhost, or list the name in admin.hosts")
    }
    let isFromPage = request.fields.contains { field in
      switch field.token {
      case .origin: true
      case .other:
        text.bytes(field.name).equalsIgnoringCase("sec-fetch-site")
          // An address that somebody has typed.
          && !text.bytes(field.value).equalsIgnoringCase("none")
      default: false
      }
    }
    return isFromPage
      ? AdminRefusal(
        status: 403, error: "pages of the web may not use this",
        hint: "use the sluice command, or curl")
      : nil
  }

  private func isOwn(_ authority: RawSpan) -> Bool {
    let host = authority.extracting(0..<Authority.hostEnd(authority))
    if host.byteCount > 1, host.byte(0) == UInt8(ascii: "[") {
      return NetworkAddress(host.extracting(1..<(host.byteCount - 1))) != nil
    }
    if NetworkAddress(host) != nil || host.equalsIgnoringCase("localhost") { return true }
    return hosts.contains(host.text.lowercased())
  }

  private func tokenRefusal(
    _ request: RequestHead, _ text: RawSpan, _ token: Result<[UInt8]?, AdminToken.Unusable>
  ) -> AdminRefusal? {
    let wanted: [UInt8]
    switch token {
    case .success(nil):
      return AdminRefusal(
        status: 403, error: "changes are off: there is no token",
        hint: "write a long random text into a file of Sluice's user, name it in admin.token_file, "
          + "and restart")
    case .failure(let why):
      return AdminRefusal(
        status: 503, error: "changes are off: the token cannot be used: \(why.sentence)",
        hint: "see admin.token_file")
    case .success(.some(let token)): wanted = token
    }
    let fields = request.fields.filter { $0.token == .authorization }
    guard let field = fields.first, fields.count == 1 else {
      return AdminRefusal(
        status: 401, error: "changes need the token",
        hint: "send Authorization: Bearer and the text of admin.token_file")
    }
    let value = text.bytes(field.value)
    let scheme: StaticString = "bearer "
    guard value.hasPrefixIgnoringCase(scheme),
      AdminToken.isSame(
        value.bytes(value.trimmed(from: scheme.utf8CodeUnitCount, to: value.byteCount)), wanted)
    else {
      return AdminRefusal(
        status: 401, error: "this is not the token",
        hint: "it is the text of the file that admin.token_file names")
    }
    return nil
  }

  private func bodyRefusal(_ request: RequestHead, _ text: RawSpan) -> AdminRefusal? {
    var isJSON = false
    if let place = request.value(.contentType), request.count(.contentType) == 1 {
      let value = text.bytes(place)
      let end = value.first(UInt8(ascii: ";"), from: 0, to: value.byteCount)
      isJSON = value.bytes(value.trimmed(from: 0, to: end)).equalsIgnoringCase("application/json")
    }
    guard isJSON else {
      return AdminRefusal(
        status: 415, error: "changes are asked for in JSON",
        hint: "send Content-Type: application/json")
    }
    if let length = request.contentLength, length > Int64(Self.maximumBody) {
      return AdminRefusal(
        status: 413, error: "the body is longer than \(Self.maximumBody) bytes",
        hint: "send less at once")
    }
    return nil
  }

  /// A batch of a thousand long paths has some hundred KiB.
  static let maximumBody = 1 << 20
}
