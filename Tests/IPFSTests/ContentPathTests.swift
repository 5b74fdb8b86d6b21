import Base
import IPFS
import Testing

@Suite struct ContentPathTests {
  static let root = "bafkqaaa"

  struct Row: Sendable {
    let path: String
    let remainder: String
    var clean = true
  }

  static let rows = [
    Row(path: "/ipfs/bafkqaaa", remainder: ""),
    Row(path: "/ipfs/bafkqaaa/", remainder: "/"),
    Row(path: "/ipfs/bafkqaaa/a", remainder: "/a"),
    Row(path: "/ipfs/bafkqaaa/a/", remainder: "/a/"),
    Row(path: "/ipfs/bafkqaaa/A/b.txt", remainder: "/A/b.txt"),
    Row(path: "/ipfs/bafkqaaa//a", remainder: "/a", clean: false),
    Row(path: "//ipfs///bafkqaaa/a//", remainder: "/a/", clean: false),
    Row(path: "/./ipfs/bafkqaaa/./a/.", remainder: "/a", clean: false),
    Row(path: "/../ipfs/bafkqaaa", remainder: "", clean: false),
    Row(path: "/ipfs/bafkqaaa/a/../b", remainder: "/b", clean: false),
    Row(path: "/ipfs/bafkqaaa/a/b/../../c/", remainder: "/c/", clean: false),
    Row(path: "/ipfs/bafkqaaa/a/..", remainder: "", clean: false),
    Row(path: "/ipfs/bafkqaaa/a/../", remainder: "/", clean: false),
    Row(path: "/ipfs/bafkqaaa/...", remainder: "/..."),
    Row(path: "/ipfs/bafkqaaa/.a/..b", remainder: "/.a/..b"),
    Row(path: "/ipfs/bafkqaaa/a%2Fb", remainder: "/a/b"),
    Row(path: "/ipfs/bafkqaaa/a%2f..%2fb", remainder: "/b", clean: false),
    Row(path: "/ipfs/bafkqaaa/a/%2e%2E/b", remainder: "/b", clean: false),
    Row(path: "/%69pfs/%62afkqaaa/x", remainder: "/x"),
    Row(path: "/ipfs/bafkqaaa/Portugal%252C+Espa%C3%B1a", remainder: "/Portugal%2C+España"),
    Row(path: "/ipfs/bafkqaaa/a%20b+c", remainder: "/a b+c"),
  ]

  static func read(_ path: String) throws(ContentPathError) -> (ContentPath, [UInt8]) {
    var decoded = ByteBuffer(capacity: 64)
    let parsed = try ContentPath.parse(bytes(path), decoded: &decoded)
    return (parsed, decoded.readable.array)
  }

  @Test(arguments: rows) func cleansAsGoDoes(_ row: Row) throws {
    let (path, decoded) = try Self.read(row.path)
    #expect(path.namespace == .ipfs)
    #expect(try path.cid == parse(Self.root))
    #expect(decoded.text(path.root) == Self.root)
    #expect(decoded.text(path.remainder) == row.remainder)
    #expect(decoded.text == "/ipfs/bafkqaaa" + row.remainder)
    #expect(path.wasClean == row.clean)
    #expect(path.trailingSlash == row.remainder.hasSuffix("/"))
    let segments = row.remainder.split(separator: "/").map(String.init)
    #expect(path.hasPath == !segments.isEmpty)
    #expect(decoded.text(path.lastSegment) == segments.last ?? "")
    var seen: [String] = []
    var offset = Int(path.remainder.start)
    while let segment = path.segment(at: offset, decoded: decoded) {
      seen.append(decoded.text(segment))
      offset = segment.end
    }
    #expect(seen == segments)
  }

  static let refused: [(String, ContentPathError)] = [
    ("", .notContent),
    ("ipfs/bafkqaaa", .notContent),
    ("%2Fipfs/bafkqaaa", .notContent),
    ("/", .notContent),
    ("/favicon.ico", .notContent),
    ("/IPFS/bafkqaaa", .notContent),
    ("/ipfsx/bafkqaaa", .notContent),
    ("/x/../ipfs/bafkqaaa", .notContent),
    ("/ipfs", .missingRoot),
    ("/ipfs/", .missingRoot),
    ("/ipns//", .missingRoot),
    ("/ipfs/bafkqaaa/..", .aboveRoot),
    ("/ipfs/bafkqaaa/../bafkqaaa", .aboveRoot),
    ("/ipfs/bafkqaaa/a/../../x", .aboveRoot),
    ("/ipfs/../ipns/x", .aboveRoot),
    ("/ipfs/%2e%2e/x", .aboveRoot),
    ("/ipfs/bafkqaaa/%", .malformedEscape(offset: 15)),
    ("/ipfs/bafkqaaa/%4", .malformedEscape(offset: 15)),
    ("/ipfs/bafkqaaa/%zz", .malformedEscape(offset: 15)),
    ("/ipfs/bafkqaaa/%4g", .malformedEscape(offset: 15)),
    ("/ipfs/bafkqaaa/a%00", .containsNUL),
    ("/ipfs/bafkqaaa/a\0", .containsNUL),
    ("/ipfs/ipfs/bafkqaaa", .repeatedNamespace),
    ("/ipfs/ipns/example.net", .repeatedNamespace),
    ("/ipfs/x", .cid(.truncated)),
    ("/ipfs/bafkqaa1", .cid(.multibase(.invalidCharacter(0x31, offset: 7)))),
  ]

  @Test(arguments: refused) func refuses(_ path: String, _ expected: ContentPathError) {
    var decoded = ByteBuffer(capacity: 64)
    decoded.append("before")
    #expect(throws: expected) {
      try ContentPath.parse(bytes(path), decoded: &decoded)
    }
    #expect(decoded.readable.text == "before")
    #expect(!expected.sentence.isEmpty)
  }

  @Test func readsNames() throws {
    let (path, decoded) = try Self.read("/ipns/docs.ipfs.tech/a/")
    #expect(path.namespace == .ipns)
    #expect(path.cid == nil)
    #expect(decoded.text(path.root) == "docs.ipfs.tech")
    #expect(decoded.text(path.remainder) == "/a/")
  }

  private static func pathKey(_ text: String) throws -> [UInt8] {
    let (path, decoded) = try read(text)
    return appended { path.appendKey(decoded: decoded, to: &$0) }
  }

  @Test func oneContentHasOneKey() throws {
    let expected = try Self.pathKey("/ipfs/\(CIDTests.spellings[0])/a b/c")
    for spelling in CIDTests.spellings {
      for rest in ["/a b/c", "/a%20b/c", "//a%20b%2Fc", "/x/../a b/./c"] {
        #expect(try Self.pathKey("/ipfs/\(spelling)\(rest)") == expected)
      }
      for rest in ["", "/", "/a b/c/", "/a b/C", "/a b", "/a%2520b/c"] {
        #expect(try Self.pathKey("/ipfs/\(spelling)\(rest)") != expected)
      }
    }
    #expect(try Self.pathKey("/ipns/x/a") != Self.pathKey("/ipns/x%2Fa/"))
  }

  @Test func rangesCountFromWhatIsReadable() throws {
    var decoded = ByteBuffer(capacity: 64)
    decoded.append("0123456789")
    decoded.consume(4)
    let path = try ContentPath.parse(bytes("/ipfs/bafkqaaa/a/b"), decoded: &decoded)
    #expect(decoded.readable.bytes(path.remainder).text == "/a/b")
    #expect(decoded.readable.bytes(path.root).text == "bafkqaaa")
  }

  @Test func refusesVeryLongPaths() {
    let long = "/ipfs/bafkqaaa/" + String(repeating: "a", count: ContentPath.maximumBytes)
    #expect(throws: ContentPathError.tooLong) { try Self.read(long) }
  }

  /// What a slower, plain reading of the rules gives: decode, split, clean.
  private static func model(_ path: [UInt8]) -> [UInt8]? {
    var decoded: [UInt8] = []
    var offset = 0
    while offset < path.count {
      if path[offset] == 0x25 {
        guard offset + 2 < path.count, let high = path[offset + 1].hexValue,
          let low = path[offset + 2].hexValue
        else { return nil }
        decoded.append(high * 16 + low)
        offset += 3
      } else {
        decoded.append(path[offset])
        offset += 1
      }
    }
    guard path.first == 0x2f, !decoded.contains(0) else { return nil }
    var kept: [ArraySlice<UInt8>] = []
    for part in decoded.split(separator: 0x2f) {
      if part.elementsEqual([0x2e]) { continue }
      if part.elementsEqual([0x2e, 0x2e]) {
        if kept.isEmpty { continue }
        if kept.count <= 2 { return nil }
        kept.removeLast()
      } else {
        kept.append(part)
      }
    }
    guard kept.count >= 2 else { return nil }
    let cleaned = kept.flatMap { [0x2f] + $0 }
    return decoded.last == 0x2f ? cleaned + [0x2f] : cleaned
  }

  @Test func agreesWithThePlainReading() {
    var random = SeededRandom(seed: 13)
    let parts = [
      "/", "/", ".", "..", "a", "%2F", "%2e", "%", "%2", "%00", "bc", "%25", "/..", "/./",
    ]
    var accepted = 0
    for _ in 0..<20_000 {
      var text = "/ipns/x"
      for _ in 0..<random.number(in: 0...8) {
        text += parts[random.number(in: 0...parts.count - 1)]
      }
      let result = try? Self.read(text).1
      #expect(result == Self.model(bytes(text)), "\(text)")
      if result != nil { accepted += 1 }
    }
    #expect(accepted > 2_000)
  }

  @Test func mutationsNeverTrap() {
    var random = SeededRandom(seed: 14)
    for round in 0..<20_000 {
      let path = random.mutated(bytes(Self.rows[round % Self.rows.count].path))
      var decoded = ByteBuffer(capacity: 64)
      guard let parsed = try? ContentPath.parse(path, decoded: &decoded) else {
        #expect(decoded.count == 0)
        continue
      }
      #expect(parsed.remainder.end == decoded.count)
    }
  }
}
