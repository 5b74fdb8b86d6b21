/// An answer as it came over the wire.
public struct Response: Sendable {
  public var status: Int
  public var version: String
  public var fields: [(name: String, value: String)]
  public var body: [UInt8] = []
  /// Whether the body came to the end that its head promised.
  public var isComplete = false

  public var text: String { String(decoding: body, as: UTF8.self) }

  /// The first value of a field, by its name in any case.
  public subscript(name: String) -> String? {
    let wanted = name.lowercased()
    return fields.first { $0.name.lowercased() == wanted }?.value
  }

  public var cacheStatus: String? { self["X-Cache-Status"] }

  /// Reads a head without its empty line.
  init(head: String) throws {
    var lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = lines.removeFirst().split(separator: " ", maxSplits: 2)
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
      throw TestFailure("not a status line: \(head.prefix(80))")
    }
    version = String(words[0])
    self.status = status
    fields = try lines.filter { !$0.isEmpty }.map { line in
      guard let colon = line.firstIndex(of: ":") else { throw TestFailure("not a field: \(line)") }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      return (String(line[..<colon]), String(value))
    }
  }
}
