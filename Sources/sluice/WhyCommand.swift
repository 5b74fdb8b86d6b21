import Admin
import ArgumentParser
import Base
import HTTP

/// `sluice why`: one object explained.
struct WhyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "why",
    abstract: "Say what a running gateway knows of one object, and whom it would ask for it.",
    discussion: AdminExit.discussion)

  @Argument(help: "A path, a CID, an ipfs:// address or a URL, as a client would ask for it.")
  var object: String

  @Option(help: "The client whose servers are wanted, by its address.")
  var client: String?

  @Option(help: "The host that a path is asked at.")
  var host: String?

  @Option(help: "The client's Accept, such as application/vnd.ipld.car.")
  var accept: String?

  @OptionGroup var options: AdminOptions

  func run() throws {
    var target = ByteBuffer(capacity: 256)
    target.append("/api/v1/why?url=")
    func add(_ text: String) {
      for byte in text.utf8 {
        let isPlain =
          byte.isASCIIDigit || (0x61...0x7a).contains(byte.asciiLowercased) || byte == 0x2d
        if isPlain {
          target.append(byte)
        } else {
          PercentCoding.appendEscape(of: byte, to: &target)
        }
      }
    }
    add(object)
    for (name, value) in [("client", client), ("host", host), ("accept", accept)] {
      guard let value else { continue }
      target.append("&\(name)=")
      add(value)
    }
    let answer = try options.ask(AdminClient.Request(target: target.readable.text))
    print(options.json ? answer.lines : WhyText.page(answer))
  }
}

/// An explanation as text for people.
enum WhyText {
  static func page(_ why: JSONValue) -> String {
    var lines = [
      "asked       \(text(why["asked"])) at \(text(why["host"])) (\(text(why["host_kind"])))"
    ]
    if let redirect = why["redirect"]?.string { lines.append("redirected  to \(redirect)") }
    lines.append("route       \(route(why))")
    if let denied = why["denied"] {
      let rule = denied["rule"]?.string == nil ? "" : ": \(text(denied["rule"]))"
      lines.append(
        "denied      with \(denied["status"]?.integer ?? 0) by \(text(denied["at"]))\(rule)")
    }
    if let name = why["name"] {
      let root = name["root"]?.string.map { " leads to \($0)" } ?? ""
      lines.append(
        "name        \(text(name["name"])): \(text(name["state"]))\(root), resolved "
          + "\(Shown.duration(name["age_seconds"]?.integer ?? 0)) ago for "
          + Shown.duration(name["ttl_seconds"]?.integer ?? 0))
    }
    if let content = why["content"] {
      lines.append(
        "content     \(text(content["cid"])) (\(text(content["codec"]))), path "
          + "\(path(content)), as \(text(content["form"])), \(text(content["origin"]))")
    }
    if let absence = why["absence"] {
      let wait = absence["retry_after_seconds"]?.real.map {
        ", asked again in \(Shown.decimal($0)) s"
      }
      let status = absence["status"]?.integer.map { " with \($0)" } ?? ""
      lines.append("absence     \(text(absence["state"]))\(status)\(wait ?? "")")
    }
    if why["being_fetched"]?.bool == true { lines.append("fetched     now") }
    let client = why["client"]
    lines.append(
      "client      \(client?["address"]?.string ?? "any"): regions "
        + (client?["route"]?.elements ?? []).map { text($0) }.joined(separator: ", "))
    lines.append("")
    if let kept = why["kept"]?.elements {
      lines.append(kept.isEmpty ? "nothing of it is here" : self.kept(kept))
      lines.append("")
    }
    var servers = TextTable(["would ask", "state", "active"], numbers: [2])
    for server in client?["servers"]?.elements ?? [] {
      servers.add([
        text(server["name"]), text(server["state"]), Shown.count(server["active"]?.integer ?? 0),
      ])
    }
    lines.append(servers.isEmpty ? "no server could be asked" : servers.text)
    return lines.joined(separator: "\n")
  }

  private static func route(_ why: JSONValue) -> String {
    switch why["route"]?.string {
    case "content": "content, kept under its CID"
    case "name": "content by name, kept under what the name leads to"
    case "inline": "content that its own CID carries: nothing is fetched or kept"
    case "pass_through": "given on, and not kept"
    case "own": "an answer of the gateway's own"
    case "redirect": "redirected to \(text(why["location"]))"
    case "refused": "refused with \(why["status"]?.integer ?? 0): \(text(why["reason"]))"
    default: text(why["route"])
    }
  }

  private static func kept(_ kept: [JSONValue]) -> String {
    var table = TextTable(
      ["", "form", "origin", "bytes", "slices", "hit", "checked", "kept for", "from"],
      numbers: [3, 4, 5])
    for object in kept {
      let slices = object["slices"]
      let variant = object["variant"]?.string.map { " \($0)" } ?? ""
      table.add([
        object["asked"]?.bool == true ? "*" : "", text(object["form"]) + variant,
        text(object["origin"]), Shown.bytes(object["bytes"]?.integer ?? 0),
        "\(slices?["present"]?.integer ?? 0)/\(slices?["total"]?.integer ?? 0)",
        "\(slices?["hit"]?.integer ?? 0)", object["verified"]?.bool == true ? "yes" : "no",
        Shown.duration(object["age_seconds"]?.integer ?? 0), object["server"]?.string ?? "-",
      ])
    }
    return table.text
  }

  private static func path(_ content: JSONValue) -> String {
    let path = text(content["path"])
    return path.isEmpty ? "/" : path
  }

  /// Without what could steer a terminal: paths and fields are strangers' words.
  private static func text(_ value: JSONValue?) -> String {
    String(
      String.UnicodeScalarView(
        (value?.string ?? "").unicodeScalars.map {
          $0.properties.generalCategory == .control ? "?" : $0
        }))
  }
}
