import Foundation

/// A gateway that may be changed, and its operator.
public final class AdminWorld {
  public static let token = "correct-horse-battery-staple"
  public let sluice: SluiceProcess
  /// Where the token lies.
  public let folder: TemporaryFolder

  public init(_ settings: SluiceProcess.Settings) throws {
    folder = try TemporaryFolder()
    try folder.write(Self.token + "\n", to: "token")
    chmod(folder.file("token"), 0o600)
    var settings = settings
    if !settings.admin.contains(where: { $0.hasPrefix("token_file") }) {
      settings.admin.append("token_file: \(folder.file("token"))")
    }
    sluice = try SluiceProcess(settings)
  }

  public var address: String { "127.0.0.1:\(sluice.adminPort)" }

  // MARK: By command

  /// Runs a command of the program on it.
  public func run(_ arguments: String...) throws -> Outcome {
    try Outcome.of(
      Program.path,
      arguments + ["--admin", address, "--token-file", folder.file("token")])
  }

  /// The same, for its answer in JSON.
  public func json(_ arguments: String...) throws -> [String: Any] {
    let outcome = try Outcome.of(
      Program.path,
      arguments + ["--json", "--admin", address, "--token-file", folder.file("token")])
    guard outcome.ending == .exited(0) else { throw TestFailure("\(arguments): \(outcome.errors)") }
    return try Self.object(outcome.output)
  }

  // MARK: By HTTP

  public func get(_ target: String, _ fields: [(String, String)] = []) throws -> Response {
    try RawClient(port: sluice.adminPort).request(target, fields)
  }

  /// A change, with the token and what else it needs unless other fields are given.
  public func post(
    _ target: String, _ body: String, _ fields: [(String, String)]? = nil
  ) throws -> Response {
    let client = try RawClient(port: sluice.adminPort)
    let fields =
      fields ?? [
        ("Authorization", "Bearer \(Self.token)"), ("Content-Type", "application/json"),
      ]
    let length = [("Content-Length", "\(body.utf8.count)")]
    try client.send(RawClient.text(target, method: "POST", fields + length) + body)
    return try client.response(to: "POST")
  }

  public static func object(_ bytes: [UInt8]) throws -> [String: Any] {
    guard let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
      throw TestFailure("no JSON object: \(String(decoding: bytes, as: UTF8.self))")
    }
    return object
  }

  /// The lines of the audit log.
  public func audit() throws -> [[String: Any]] {
    try sluice.folder.text(of: "var/audit.log").split(separator: "\n").map {
      try Self.object(Array($0.utf8))
    }
  }
}

/// Looks for content in the files of a cache.
public enum DiskSearch {
  /// The files below a folder that have any of these bytes: 32 of them, from up to 64 places.
  public static func files(below folder: String, having content: [UInt8]) throws -> [String] {
    // Not from a zero: sparse files have too many of them.
    let step = max(4096, content.count / 64)
    let needles = stride(from: 0, to: max(1, content.count - 64), by: step).map { place in
      let start = content[place...].firstIndex { $0 != 0 } ?? place
      return Array(content[start..<min(start + 32, content.count)])
    }
    let walk = FileManager.default.enumerator(atPath: folder)
    var found: [String] = []
    while let name = walk?.nextObject() as? String {
      let url = URL(filePath: folder + "/" + name)
      guard let bytes = try? Data(contentsOf: url, options: .alwaysMapped) else { continue }
      // The index's map is large, and has no bodies: a few places will do.
      let sought = bytes.count > 64 << 20 ? Array(needles.prefix(8)) : needles
      if bytes.withUnsafeBytes({ hay in sought.contains { has(hay, $0) } }) { found.append(name) }
    }
    return found.sorted()
  }

  private static func has(_ hay: UnsafeRawBufferPointer, _ needle: [UInt8]) -> Bool {
    guard let start = hay.baseAddress, let first = needle.first else { return false }
    var offset = 0
    while offset + needle.count <= hay.count {
      let rest = hay.count - needle.count + 1 - offset
      guard let place = memchr(start + offset, Int32(first), rest) else { return false }
      if memcmp(place, needle, needle.count) == 0 { return true }
      offset = UnsafeRawPointer(place) - start + 1
    }
    return false
  }
}
