internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import Router
internal import Server

/// What clients who came without TLS get in the place of content.
extension Exchange {
  /// Answers a challenge, or sends the client to https; false where neither is due.
  ///
  /// Challenges are answered whatever the client came by: authorities follow redirects.
  func divert(_ request: RequestHead, _ text: RawSpan, _ site: AskedSite) -> Bool {
    let options = worker.gateway.options
    let asked = text.bytes(request.path)
    if asked.equals("/cache-stats"), answerStatistics(request, text, site) { return true }
    if let folder = options.webroot.map(ChallengeFolder.init(path:)),
      asked.hasPrefix(ChallengeFolder.prefix)
    {
      let token = asked.extracting(ChallengeFolder.prefix.utf8CodeUnitCount...)
      answerChallenge(folder.file(of: token))
      return true
    }
    // `OPTIONS *` is about the server and no place on it.
    guard let port = options.securePort, !isSecure, !asked.equals("/health"),
      asked.isEmpty || asked.hasPrefix("/")
    else { return false }
    let host = text.bytes(host)
    let name = host.extracting(0..<Authority.hostEnd(host))
    guard !name.isEmpty else {
      refuse(status: 400, "a Host field is needed to be sent to https")
      return true
    }
    var location = ByteBuffer(capacity: 256)
    location.append("https://")
    location.append(name)
    if port != 443 {
      location.append(":")
      location.append(decimal: port)
    }
    if asked.isEmpty { location.append("/") } else { location.append(asked) }
    let query = text.bytes(request.query)
    if !query.isEmpty {
      location.append("?")
      location.append(query)
    }
    // 301 lets clients turn other methods into GET (RFC 9110, section 15.4.2).
    let isSafe = method == .get || method == .head
    redirect(to: location.withReadable { $0.array }, status: isSafe ? 301 : 308)
    return true
  }

  private func answerChallenge(_ file: String?) {
    guard method == .get || method == .head else {
      refuse(status: 405, "challenges are read")
      return
    }
    guard let file else {
      noChallenge()
      return
    }
    let life = life
    let exchange = Unshared(self)
    let mailbox = worker.port.mailbox
    let isTaken = worker.gateway.disk.submit {
      let bytes = ChallengeFolder.read(file)
      mailbox.post { exchange.value.challengeRead(life, bytes) }
    }
    if !isTaken { refuse(status: 503, "the disk is busy; try again") }
  }

  private func challengeRead(_ life: UInt64, _ bytes: [UInt8]?) {
    guard life == self.life, let stream else { return }
    guard let bytes else {
      noChallenge()
      return
    }
    stream.begin(status: 200)
    stream.field(.contentType, "application/octet-stream")
    stream.field(.cacheControl, "no-store")
    stream.endHead(.known(Int64(bytes.count)))
    if method != .head { stream.fill(bytes.rawBytes) }
    finish()
  }

  private func noChallenge() { refuse(status: 404, "there is no such challenge") }
}
