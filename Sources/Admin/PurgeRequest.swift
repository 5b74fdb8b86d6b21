internal import Base
internal import Gateway
internal import IPFS

/// What is to be purged, as the request's body says it.
struct PurgeRequest: Equatable {
  /// One thing that is to go, in its sender's words.
  enum Subject: Equatable {
    case cid(CID, text: String)
    /// A path below `/ipfs` or `/ipns`, with its root and what follows it.
    case path(Root, below: [UInt8], text: String)
    case host(String)

    enum Root: Equatable {
      case cid(CID)
      case name([UInt8])
    }
  }

  var subjects: [Subject] = []
  /// Why, for the audit log.
  var reason = ""

  /// A sentence or two, and no more of each line of the log.
  static let longestReason = 1_000
  /// Names of hosts are no longer (RFC 1035), but for their port.
  private static let longestHost = 260

  init(_ body: [UInt8]) throws(AdminRefusal) {
    let value = try Self.object(body)
    guard case .object(let members) = value else { return }
    for member in members {
      switch member.name {
      case "cids":
        for text in try Self.texts(member) { subjects.append(try Self.cid(text)) }
      case "paths":
        for text in try Self.texts(member) { subjects.append(try Self.path(text)) }
      case "hosts":
        for text in try Self.texts(member) { subjects.append(try Self.host(text)) }
      case "reason":
        guard let text = member.value.string, text.utf8.count <= Self.longestReason else {
          throw Self.malformed("reason: a text of at most \(Self.longestReason) bytes")
        }
        reason = text
      default:
        throw AdminRefusal(
          status: 400, error: "there is no member \(member.name)",
          hint: "there are cids, paths, hosts and reason")
      }
    }
    guard !subjects.isEmpty else { throw Self.malformed("at least one of cids, paths and hosts") }
    guard subjects.count <= RemovalBatch.maximumCount else {
      throw AdminRefusal(
        status: 413, error: "\(subjects.count) subjects are too many at once",
        hint: "send at most \(RemovalBatch.maximumCount)")
    }
  }

  /// The object that a body is.
  static func object(_ body: [UInt8]) throws(AdminRefusal) -> JSONValue {
    let value: JSONValue
    do throws(JSONValue.Malformed) {
      value = try JSONValue(parsing: body.rawBytes)
    } catch {
      throw AdminRefusal(
        status: 400, error: "the body is not JSON: at byte \(error.offset), \(error.sentence)")
    }
    guard case .object = value else { throw malformed("an object") }
    return value
  }

  private static func malformed(_ expected: String) -> AdminRefusal {
    AdminRefusal(status: 400, error: "the body does not say what is to go; expected \(expected)")
  }

  private static func texts(_ member: JSONValue.Member) throws(AdminRefusal) -> [String] {
    guard case .array(let elements) = member.value else {
      throw malformed("\(member.name): a list of texts")
    }
    var texts: [String] = []
    for element in elements {
      guard let text = element.string else { throw malformed("\(member.name): a list of texts") }
      texts.append(text)
    }
    return texts
  }

  private static func cid(_ text: String) throws(AdminRefusal) -> Subject {
    do throws(CIDError) {
      return .cid(try CID.parse(Array(text.utf8).rawBytes), text: text)
    } catch {
      throw AdminRefusal(status: 400, error: "cids: \(text) is no CID: \(error.sentence)")
    }
  }

  private static func path(_ text: String) throws(AdminRefusal) -> Subject {
    // In a URL they would end the path; whoever means them as part of a name escapes them.
    guard !text.utf8.contains(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) else {
      throw AdminRefusal(
        status: 400, error: "paths: \(text): a path has no query and no fragment",
        hint: "write %3F and %23 for ? and # in names; all forms go with their path")
    }
    var decoded = ByteBuffer(capacity: 256)
    do throws(ContentPathError) {
      let path = try ContentPath.parse(Array(text.utf8).rawBytes, decoded: &decoded)
      let bytes = decoded.readable
      let below = bytes.bytes(path.remainder).array
      let root = path.cid.map { Subject.Root.cid($0) } ?? .name(bytes.bytes(path.root).array)
      return .path(root, below: below, text: text)
    } catch {
      throw AdminRefusal(status: 400, error: "paths: \(text): \(error.sentence)")
    }
  }

  /// What is wrong with a subject of a kind (`cids`, `paths` or `hosts`), for those who ask before they send it;
  /// nil where nothing is.
  static func complaint(about text: String, of kind: String) -> AdminRefusal? {
    do throws(AdminRefusal) {
      switch kind {
      case "cids": _ = try cid(text)
      case "paths": _ = try path(text)
      default: _ = try host(text)
      }
      return nil
    } catch {
      return error
    }
  }

  private static func host(_ text: String) throws(AdminRefusal) -> Subject {
    // It stands in a head for the router to read.
    guard (1...longestHost).contains(text.utf8.count),
      text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
    else { throw AdminRefusal(status: 400, error: "hosts: \(text) is no host's name") }
    return .host(text)
  }
}

/// What commands check of a purge before they send the first part of it.
public enum PurgeCheck {
  /// What is wrong with a subject of a kind (`cids`, `paths` or `hosts`), as one sentence; nil where nothing is.
  public static func complaint(about text: String, of kind: String) -> String? {
    guard let refusal = PurgeRequest.complaint(about: text, of: kind) else { return nil }
    return refusal.error + (refusal.hint.isEmpty ? "" : " (\(refusal.hint))")
  }
}
