internal import Base
internal import EventLoop
internal import Gateway
internal import HTTP
internal import IPFS
internal import System
internal import Upstreams

/// One object explained.
extension AdminHandler {
  func explain(_ query: RawSpan, _ task: AdminTask, _ loop: Loop) {
    let asked: WhyQuestion
    do throws(AdminRefusal) {
      asked = try WhyQuestion(query: query, host: subject.host)
    } catch {
      task.refuse(error)
      return
    }
    let now = loop.now
    let mailbox = loop.mailbox
    let subject = subject
    let isTaken = subject.gateway.explain(asked.content, at: now) { explanation in
      mailbox.post {
        task.answer(
          WhyAnswer.value(
            explanation, asked, subject.gateway, at: now, wallSeconds: Clock.wallSeconds))
      }
    }
    if !isTaken {
      task.refuse(AdminRefusal(status: 503, error: "the disk is busy", hint: "try again"))
    }
  }
}

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
    // A line's end would begin another field.
    guard [self.target, self.host, accept].allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 } })
    else {
      throw AdminRefusal(status: 400, error: "a control character stands in the question")
    }
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

/// What is known of it, as JSON.
enum WhyAnswer {
  static func value(
    _ explanation: Explanation, _ asked: WhyQuestion, _ gateway: Gateway, at now: Instant,
    wallSeconds: Int64
  ) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("asked", .string(asked.target)), .init("host", .string(asked.host)),
      .init("host_kind", .string(explanation.host)),
    ]
    if let redirect = explanation.redirect { members.append(.init("redirect", .string(redirect))) }
    members += route(explanation.route)
    if let name = explanation.name { members.append(.init("name", self.name(name))) }
    if let content = explanation.content {
      members.append(.init("content", self.content(content)))
    }
    if explanation.content != nil {
      members.append(
        .init("kept", .array(explanation.kept.map { kept($0, wallSeconds: wallSeconds) })))
      members.append(.init("being_fetched", .bool(explanation.isBeingFetched)))
    }
    switch explanation.absence {
    case nil: break
    case .absent:
      var absent: [JSONValue.Member] = [.init("state", "absent")]
      if let status = explanation.siteStatus {
        absent.append(.init("site_status", .integer(status)))
      }
      members.append(.init("absence", .object(absent)))
    case .failing(let status, let wait):
      members.append(
        .init(
          "absence",
          .members([
            "state": "failing", "status": .integer(status),
            "retry_after_seconds": .real((wait.seconds * 10).rounded() / 10),
          ])))
    }
    if let fault = explanation.fault { members.append(.init("index_fault", .string(fault.name))) }
    members.append(.init("client", client(asked.client, gateway, at: now)))
    return .object(members)
  }

  private static func route(_ route: Explanation.Route) -> [JSONValue.Member] {
    switch route {
    case .content: [.init("route", "content")]
    case .name: [.init("route", "name")]
    case .inline: [.init("route", "inline")]
    case .passThrough: [.init("route", "pass_through")]
    case .own: [.init("route", "own")]
    case .redirect(let location):
      [.init("route", "redirect"), .init("location", .string(location))]
    case .refused(let status, let sentence):
      [
        .init("route", "refused"), .init("status", .integer(status)),
        .init("reason", .string(sentence)),
      ]
    }
  }

  private static func name(_ name: Explanation.Name) -> JSONValue {
    .members([
      "name": .string(name.text), "state": .string(name.state.rawValue),
      "root": name.root.map { .string("\($0)") } ?? .null, "age_seconds": .integer(Int(name.age)),
      "ttl_seconds": .integer(Int(name.ttl)),
    ])
  }

  private static func content(_ content: Explanation.Content) -> JSONValue {
    let codec = content.root.codec.name.map { "\($0)" } ?? "0x" + hex(content.root.codec.rawValue)
    return .members([
      "root": .string("\(content.root)"), "cid": .string("\(content.root.version1)"),
      "codec": .string(codec), "path": .string(String(decoding: content.path, as: UTF8.self)),
      "form": .string(content.form), "origin": .string(content.origin),
      "key": .string(hex(content.hash.first) + hex(content.hash.second)),
    ])
  }

  private static func hex(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: max(0, 16 - digits.utf8.count)) + digits
  }

  private static func kept(_ kept: Explanation.Kept, wallSeconds: Int64) -> JSONValue {
    .members([
      "form": .string(kept.form), "origin": .string(kept.origin),
      "variant": kept.variant.isEmpty ? .null : .string(kept.variant),
      "asked": .bool(kept.isAsked), "bytes": .integer(Int(kept.bytes)),
      "since": .string(Statistics.time(kept.created)),
      "age_seconds": .integer(Int(max(0, wallSeconds - kept.created))),
      "server": kept.server.isEmpty ? .null : .string(kept.server),
      "etag": .string(kept.etag), "content_type": .string(kept.contentType),
      "verified": .bool(kept.isVerified),
      "slices": .members([
        "bytes": .integer(kept.sliceBytes), "total": .integer(kept.slices),
        "present": .integer(kept.present), "hit": .integer(kept.hit),
        "cut_short": .bool(kept.isCutShort),
      ]),
      "hit_since_written": .bool(kept.hit > 0),
    ])
  }

  /// Whom the gateway would ask for this client's misses, in order.
  private static func client(
    _ client: NetworkAddress?, _ gateway: Gateway, at now: Instant
  ) -> JSONValue {
    let home = gateway.options.places.region(of: client, mark: RawSpan())
    let options = gateway.options.upstream
    let order = gateway.upstreams.order(from: home, at: now, options)
    let names = gateway.upstreams.routeNames(from: home)
    return .members([
      "address": client.map { .string("\($0)") } ?? .null,
      "region": names.first.map { .string($0) } ?? .null,
      "route": .array(names.map { .string($0) }),
      "servers": .array(
        order.map { _, server in
          .members([
            "name": .string(server.name),
            "state": .string(server.condition(at: now, options).rawValue),
            "active": .integer(server.active),
          ])
        }),
    ])
  }
}
