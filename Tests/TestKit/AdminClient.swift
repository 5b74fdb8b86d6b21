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
  /// The files below a folder that have any of these bytes: 32 of them, from many places.
  ///
  /// Short content is looked for at each 64th byte, long content so at its ends, where pages are shared with
  /// others, and at some hundred places in between; both at the very last byte.
  public static func files(below folder: String, having content: [UInt8]) throws -> [String] {
    // Not from a zero: sparse files have too many of them.
    let end = max(0, content.count - 32)
    var places = [0, end]
    if content.count <= 64 << 10 {
      places += stride(from: 0, to: end, by: 64)
    } else {
      places += stride(from: 0, to: 4096, by: 64)
      places += stride(from: end - 4096, to: end, by: 64)
      places += stride(from: 0, to: end, by: max(4096, content.count / 128))
    }
    let needles = places.map { place in
      let start = content[place...].firstIndex { $0 != 0 } ?? place
      return Array(content[start..<min(start + 32, content.count)])
    }
    let walk = FileManager.default.enumerator(atPath: folder)
    var found: [String] = []
    while let name = walk?.nextObject() as? String {
      guard walk?.fileAttributes?[.type] as? FileAttributeType == .typeRegular else { continue }
      let url = URL(filePath: folder + "/" + name)
      let bytes: Data
      do {
        bytes = try Data(contentsOf: url, options: .alwaysMapped)
      } catch {
        // A segment that left meanwhile; what is there and cannot be read has not been looked at.
        if FileManager.default.fileExists(atPath: url.path) { throw error }
        continue
      }
      let isThere = bytes.withUnsafeBytes { hay in
        written(hay).contains { part in
          needles.contains { has(UnsafeRawBufferPointer(rebasing: hay[part]), $0) }
        }
      }
      if isThere { found.append(name) }
    }
    return found.sorted()
  }

  /// The runs of pages that are not all zeros: most of a segment, and of the index's map, has not been written yet.
  private static func written(_ hay: UnsafeRawBufferPointer) -> [Range<Int>] {
    guard let start = hay.baseAddress else { return [] }
    let zeros = [UInt8](repeating: 0, count: 4096)
    var runs: [Range<Int>] = []
    for offset in stride(from: 0, to: hay.count, by: zeros.count) {
      let end = min(offset + zeros.count, hay.count)
      if memcmp(start + offset, zeros, end - offset) == 0 { continue }
      if let last = runs.last, last.upperBound == offset {
        runs[runs.count - 1] = last.lowerBound..<end
      } else {
        runs.append(offset..<end)
      }
    }
    return runs
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
