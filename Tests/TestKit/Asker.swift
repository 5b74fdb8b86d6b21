import Foundation

/// A request as a test describes it.
public struct Question: Sendable {
  public var method = "GET"
  /// Path and query, as they go over the wire.
  public var target: String
  /// Nil for the address itself.
  public var host: String?
  public var fields: [(name: String, value: String)] = []

  public init(_ target: String) { self.target = target }

  public var text: String {
    let lines = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
    return "\(method) \(target) HTTP/1.1\r\nHost: \(host ?? "127.0.0.1")\r\n\(lines)\r\n"
  }
}

/// A client that asks many questions, on one connection for as long as that is kept open.
public final class Asker {
  private let port: UInt16
  private let seconds: Double
  private var client: RawClient?

  /// - Parameter seconds: The limit of each wait.
  public init(port: UInt16, seconds: Double = 60) { (self.port, self.seconds) = (port, seconds) }

  /// The answer, whole or broken off.
  ///
  /// A kept connection that turns out to be closed is replaced.
  public func ask(_ question: Question) throws -> Response {
    let wasOpen = client != nil
    do {
      return try askOnce(question)
    } catch {
      client = nil
      guard wasOpen else { throw error }
      return try askOnce(question)
    }
  }

  private func askOnce(_ question: Question) throws -> Response {
    let open = try client ?? RawClient(port: port, seconds: seconds)
    client = open
    try open.send(question.text)
    let answer = try open.response(to: question.method)
    if !answer.isComplete || answer["Connection"]?.lowercased() == "close" { client = nil }
    return answer
  }
}

extension Response {
  /// The values of all fields, by their names in lower case.
  var valuesByName: [String: [String]] {
    fields.reduce(into: [:]) { $0[$1.name.lowercased(), default: []].append($1.value) }
  }
}

/// Where an answer differs from the one that was expected.
public struct Difference: Sendable, CustomStringConvertible {
  public var field: String
  public var expected: String
  public var got: String

  public init(_ field: String, expected: String, got: String) {
    (self.field, self.expected, self.got) = (field, expected, got)
  }

  public var description: String { "\(field): expected \(expected), got \(got)" }

  /// The fields by which a client knows one gateway from another, or acts.
  static let fields = [
    "Etag", "Cache-Control", "Content-Type", "Content-Disposition", "Content-Location",
    "Content-Range", "Accept-Ranges", "X-Ipfs-Path", "X-Ipfs-Roots", "Location", "Allow",
    "X-Content-Type-Options", "Access-Control-Allow-Origin",
  ]

  private static let keys = fields.map { $0.lowercased() }

  /// Everything in which one answer differs from another that it should equal.
  ///
  /// The sentences of errors and of redirects are each gateway's own: of those only the status, the
  /// fields and the media type are compared.
  public static func all(expected: Response, got: Response, method: String) -> [Difference] {
    var found: [Difference] = []
    func hold(_ field: String, _ one: String, _ other: String) {
      if one != other { found.append(Difference(field, expected: one, got: other)) }
    }
    hold("status", "\(expected.status)", "\(got.status)")
    let hasContent = (200..<300).contains(expected.status)
    let (wanted, given) = (expected.valuesByName, got.valuesByName)
    for (name, key) in zip(fields, keys) {
      var (one, other) = (wanted[key] ?? [], given[key] ?? [])
      if name == "Content-Type", !hasContent {
        (one, other) = (one.map(mediaType), other.map(mediaType))
      }
      hold(name, text(one), text(other))
    }
    hold(
      "Retry-After", expected["Retry-After"] == nil ? "absent" : "present",
      got["Retry-After"] == nil ? "absent" : "present")
    hold("complete", "\(expected.isComplete)", "\(got.isComplete)")
    guard hasContent else { return found }
    if let length = expected["Content-Length"] {
      hold("Content-Length", length, text(given["content-length"] ?? []))
    }
    let isArchive = expected["Content-Type"] == "application/x-tar"
    let (wholes, parts) =
      isArchive ? (timeless(expected.body), timeless(got.body)) : (expected.body, got.body)
    if method != "HEAD", !isSame(parts, wholes) {
      let place = zip(wholes, parts).enumerated().first { $0.element.0 != $0.element.1 }
      found.append(
        Difference(
          "bytes", expected: "\(expected.body.count)",
          got: "\(got.body.count)" + (place.map { ", unlike from \($0.offset) on" } ?? "")))
    }
    return found
  }

  /// A TAR without the moments of its making, and without the sums that they are part of.
  private static func timeless(_ archive: [UInt8]) -> [UInt8] {
    var archive = archive
    var start = 0
    while start + 512 <= archive.count {
      let size = String(decoding: archive[start + 124..<start + 135], as: UTF8.self)
      archive.replaceSubrange(start + 136..<start + 156, with: repeatElement(0, count: 20))
      start += 512 + ((Int(size, radix: 8) ?? 0) + 511) / 512 * 512
    }
    return archive
  }

  private static func mediaType(_ value: String) -> String {
    String(value.prefix { $0 != ";" })
  }

  private static func text(_ values: [String]) -> String {
    values.isEmpty ? "none" : values.joined(separator: " | ")
  }
}
