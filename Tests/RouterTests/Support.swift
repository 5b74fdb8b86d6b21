import Base
import HTTP
import HTTP1
import IPFS

@testable import Router

/// One host of each kind; others are unknown.
let sites = HostTable([
  HostTable.Entry(.name(Array("path.example".utf8))),
  HostTable.Entry(.name(Array("dweb.example".utf8)), subdomains: true),
  HostTable.Entry(.name(Array("both.example".utf8)), subdomains: true, dnslink: true),
  HostTable.Entry(.name(Array("docs.example".utf8)), dnslink: true),
])

/// What became of a request at a site.
struct Routed {
  /// As text that can be compared: content as kind, mode and decoded path.
  var name: String
  /// The canonical key; nil where the route has none.
  var key: [UInt8]?
  /// What is asked for; nil where it is no content.
  var asked: ContentRequest?
  /// The extension that a gateway has to be asked with; empty where there is none.
  var foreignExtension: [UInt8] = []
}

extension Routed {
  init(
    _ target: String, host: String = "path.example", in hosts: HostTable = sites,
    isSecure: Bool = false, method: String = "GET", fields: String = ""
  ) {
    let wire = Array("\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n".utf8)
    var parser = RequestParser(limits: HTTP1Limits(lineBytes: 1 << 20, headBytes: 1 << 20))
    var head = RequestHead()
    guard case .complete = parser.parse(wire.rawBytes, into: &head) else {
      self.init(name: "unparsed")
      return
    }
    self.init(head, wire, in: hosts, isSecure: isSecure)
  }

  init(_ head: RequestHead, _ text: [UInt8], in hosts: HostTable = sites, isSecure: Bool) {
    var path = ByteBuffer(capacity: 64)
    var key = ByteBuffer(capacity: 64)
    let site = AskedSite(hosts: HostBook(hosts), host: head.authority, isSecure: isSecure)
    let route = Router.route(head, text: text.rawBytes, site: site, path: &path, key: &key)
    let decoded = path.readable.text
    switch route {
    case .health: self.init(name: "health")
    case .options: self.init(name: "options")
    case .content(let asked):
      self.init(
        name: "content \(asked.mode) \(decoded)", key: key.readable.array, asked: asked)
    case .named(let asked):
      self.init(name: "named \(asked.mode) \(decoded)", asked: asked)
    case .passThrough(let keepsHost): self.init(name: keepsHost ? "pass with host" : "pass")
    case .redirect(let location):
      self.init(name: "to \(String(decoding: location, as: UTF8.self))")
    case .refuse(let status, _): self.init(name: "\(status)")
    }
    foreignExtension = asked?.foreignExtension(in: text.rawBytes) ?? []
  }
}
