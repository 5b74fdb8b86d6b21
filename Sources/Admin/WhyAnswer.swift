internal import Base
internal import Gateway
internal import IPFS
internal import Upstreams

/// An explanation as JSON, for `/api/v1/why`.
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
    if let denial = explanation.denial {
      members.append(
        .init(
          "denied",
          .members([
            "status": .integer(denial.status), "rule": denial.rule.map { .string($0) } ?? .null,
            "at": .string(denial.place),
          ])))
    }
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
