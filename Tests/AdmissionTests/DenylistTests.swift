import Admission
import Base
import IPFS
import Testing

@Suite struct DenylistTests {
  private static let roots = [
    "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8",
    "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2",
    "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC",
  ]
  private var root: String { Self.roots[0] }

  @Test func theLastRuleDecides() {
    #expect(denylist("/ipfs/\(root)\n!/ipfs/\(root)\n").denies(block: root) == false)
    #expect(denylist("!/ipfs/\(root)\n/ipfs/\(root)\n").denies(block: root))
    #expect(denylist("/ipfs/\(root)/*\n!/ipfs/\(root)\n").denies(block: root) == false)
    #expect(denylist("/ipfs/\(root)\n", "!/ipfs/\(root)\n").denies(block: root) == false)
    #expect(denylist("!/ipfs/\(root)\n", "\n\n/ipfs/\(root)\n").denies(block: root))
    // A later file counts more than a later line.
    #expect(denylist("\n\n\n\n/ipfs/\(root)\n", "!/ipfs/\(root)\n").denies(block: root) == false)
  }

  @Test func aDeniedRootTakesItsPathsAlong() throws {
    let content = try #require(cid(root))
    func denies(_ list: Denylist, _ path: String) -> Bool {
      list.denial(of: content, path: Array(path.utf8).rawBytes) != nil
    }
    let list = denylist("/ipfs/\(root)\n!/ipfs/\(root)/kept\n")
    #expect(denies(list, "") && denies(list, "/other") && denies(list, "/kept/x"))
    #expect(!denies(list, "/kept") && !denies(list, "/kept/"))
    let hashed = denylist("//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7\n")
    let other = try #require(cid("bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e"))
    #expect(hashed.denial(of: other, path: Array("/any/path".utf8).rawBytes) != nil)
    // The older form names a codec; the block can be asked for by another one.
    let raw = try CID(codec: .raw, hash: other.hash, digest: other.digest)
    #expect(hashed.denial(of: raw, path: RawSpan()) != nil)
  }

  @Test func whatLetsARootPassLetsNothingPassBelowIt() throws {
    let content = try #require(cid(root))
    func denies(_ list: Denylist, _ path: String) -> Bool {
      list.denial(of: content, path: Array(path.utf8).rawBytes) != nil
    }
    let path = denylist("/ipfs/\(root)/bad\n!/ipfs/\(root)\n")
    #expect(denies(path, "/bad") && !denies(path, "") && !denies(path, "/other"))
    let tree = denylist("/ipfs/\(root)/*\n", "!/ipfs/\(root)\n")
    #expect(denies(tree, "/bad") && !denies(tree, ""))
    let both = denylist("/ipfs/\(root)/ba*\n/ipfs/\(root)\n!/ipfs/\(root)\n")
    #expect(denies(both, "/bad") && !denies(both, "/other"))
  }

  @Test func findingsSayWhere() throws {
    let content = try #require(cid(root))
    let list = denylist("# one\n", "\n/ipfs/\(root) gateway_status:451\n")
    let found = list.denial(of: content, path: RawSpan())
    let finding = try #require(found)
    #expect(finding.file == 1 && finding.mark.line == 2 && finding.mark.status == 451)
    #expect(denylist("/ipfs/\(root)\n").denial(of: content, path: RawSpan())?.mark.status == 410)
  }

  @Test func headersHintIsForAllRulesThatSayNothing() throws {
    let content = try #require(cid(root))
    let key = DenyKey()
    func status(_ line: String) -> Int? {
      var text = DenylistText(expecting: 4, key: key)
      text.take(DenylistHeader(isLegal: true), bytes: 10, lines: 2)
      _ = text.read(Array(line.utf8).rawBytes)
      let list = Denylist([text.rules], key: key, generation: 1)
      return list.denial(of: content, path: RawSpan())?.mark.status
    }
    #expect(status("/ipfs/\(root)\n") == 451)
    #expect(status("/ipfs/\(root) gateway_status:410\n") == 410)
  }

  /// A list that looks at every rule in turn, from the last to the first.
  private struct Model {
    var rules: [(root: Int, path: String, isPrefix: Bool, allows: Bool)] = []

    func denies(_ root: Int, _ path: String) -> Bool {
      for rule in rules.reversed() where rule.root == root {
        if rule.isPrefix ? path.hasPrefix(rule.path) : path == rule.path { return !rule.allows }
      }
      return false
    }

    /// The same with the root's own block asked about.
    ///
    /// The latest of the rules about the path, and of those that are about the root's block where that is denied.
    func deniesAll(_ root: Int, _ path: String) -> Bool {
      let ofRoot = rules.lastIndex { $0.root == root && !$0.isPrefix && $0.path.isEmpty }
      let ofPath = rules.lastIndex {
        $0.root == root && ($0.isPrefix ? path.hasPrefix($0.path) : path == $0.path)
      }
      let rootCounts = !path.isEmpty && ofRoot.map { !rules[$0].allows } ?? false
      let last = [rootCounts ? ofRoot : nil, ofPath].compactMap(\.self).max()
      return last.map { !rules[$0].allows } ?? false
    }
  }

  @Test func randomListsAreWhatTheModelSays() throws {
    let paths = ["", "a", "ab", "a/b", "a/bc", "b", "b/a/b", "abc/d"]
    let contents = try Self.roots.map { try #require(cid($0)) }
    var denied = 0
    for seed in 0..<400 {
      var random = SeededRandom(seed: UInt64(seed))
      var model = Model()
      var texts = ["", ""]
      // Rules of the second file all come later than those of the first.
      for file in 0..<2 {
        for _ in 0..<random.number(in: 0...8) {
          let root = random.number(in: 0...2)
          let path = paths[random.number(in: 0...paths.count - 1)]
          let isPrefix = random.chance(0.4)
          let allows = random.chance(0.35)
          model.rules.append((root, path, isPrefix, allows))
          let star = !isPrefix ? "" : path.isEmpty ? "/*" : random.chance(0.5) ? "*" : "/*"
          let below = path.isEmpty ? "" : "/" + path
          texts[file] += "\(allows ? "!" : "")/ipfs/\(Self.roots[root])\(below)\(star)\n"
        }
      }
      let list = denylist(texts[0], texts[1])
      for (place, content) in contents.enumerated() {
        for path in paths + ["abcd", "a/b/c", "x"] {
          let finding = list.rule(of: content, path: Array(path.utf8).rawBytes)
          let denies = finding.map { !$0.mark.allows } ?? false
          #expect(denies == model.denies(place, path), "seed \(seed), \(path): \(texts)")
          if denies { denied += 1 }
          let isDenied = list.denial(of: content, path: Array(path.utf8).rawBytes) != nil
          #expect(isDenied == model.deniesAll(place, path), "seed \(seed), \(path): \(texts)")
        }
      }
    }
    #expect(denied > 1_000)
  }

  @Test func manyRulesAreFoundAndNoOthers() throws {
    let key = DenyKey()
    var random = SeededRandom(seed: 7)
    func block() throws -> CID {
      let digest = (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      return try CID(codec: .raw, hash: .sha2_256, digest: digest.rawBytes)
    }
    let denied = try (0..<20_000).map { _ in try block() }
    let others = try (0..<20_000).map { _ in try block() }
    // Room for half of them in the table: the rest lies beside it.
    var text = DenylistText(expecting: denied.count / 2, key: key)
    for cid in denied { #expect(text.read(Array("/ipfs/\(cid)\n".utf8).rawBytes) > 0) }
    let list = Denylist([text.rules], key: key, generation: 1)
    #expect(text.rules.count == denied.count && text.rules.laterCount > 5_000)
    for (place, cid) in denied.enumerated() {
      #expect(list.denial(of: cid, path: RawSpan())?.mark.line == place + 1)
    }
    for cid in others { #expect(list.denial(of: cid, path: RawSpan()) == nil) }
  }
}
