import Admission
import Base
import IPFS
import Router
import Testing

@testable import Gateway

@Suite struct DenialTests {
  private static let roots = [
    "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8",
    "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2",
    "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC",
  ]

  private func list(_ rules: String..., generation: UInt64 = 1) -> Denylist {
    let key = DenyKey()
    var text = DenylistText(expecting: 8, key: key)
    for rule in rules { _ = text.read(Array("\(rule)\n".utf8).rawBytes) }
    return Denylist([text.rules], key: key, generation: generation)
  }

  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func pathsAndTargets() {
    let list = self.list("/ipfs/\(Self.roots[0])", "/ipns/a.example")
    func denies(path: String) -> Bool { list.denial(ofPath: bytes(path).rawBytes) != nil }
    #expect(denies(path: "/ipfs/\(Self.roots[0])") && denies(path: "/ipfs/\(Self.roots[0])/x"))
    #expect(denies(path: "/ipns/a.example/x") && !denies(path: "/ipfs/\(Self.roots[1])"))
    #expect(!denies(path: "/ipfs/") && !denies(path: "/") && !denies(path: ""))
    func refuses(_ target: String, _ host: String) -> Bool {
      list.denial(ofTarget: bytes(target).rawBytes, host: bytes(host).rawBytes) != nil
    }
    #expect(refuses("/ipfs/\(Self.roots[0])?format=tar", "any"))
    #expect(refuses("/%69pfs/\(Self.roots[0])/x", "any"))
    #expect(refuses("/x?y", "\(Self.roots[0]).ipfs.some.test:80"))
    #expect(refuses("/", "a-example.ipns.some.test") && refuses("/", "a.example.ipns.some.test"))
    // Which label is a gateway's depends on whose host it is.
    #expect(refuses("/", "a.example.ipns.b.ipfs.test"))
    let inner = self.list("/ipns/b.ipns.a.example")
    let host = bytes("b.ipns.a.example.ipns.c")
    #expect(inner.denial(ofTarget: bytes("/").rawBytes, host: host.rawBytes) != nil)
    #expect(denies(path: "/ipns/_dnslink.a.example") && refuses("/", "_dnslink.A.example.ipns.b.c"))
    #expect(!refuses("/", "b-example.ipns.some.test") && !refuses("*", "ipfs.some.test"))
  }

  @Test func rootsWithWhatIsLeftOfThePath() {
    let roots = bytes(Self.roots.joined(separator: ", "))
    func denies(_ rule: String, _ path: String) -> Bool {
      list(rule).denial(ofRoots: roots.rawBytes, path: bytes(path).rawBytes) != nil
    }
    #expect(denies("/ipfs/\(Self.roots[1])", "/a/b") && denies("/ipfs/\(Self.roots[2])", "/a/b"))
    // The root has been asked about before.
    #expect(!denies("/ipfs/\(Self.roots[0])", "/a/b"))
    func deniesAll(_ rule: String, _ path: String) -> Bool {
      list(rule).denial(ofRoots: roots.rawBytes, hostPath: bytes(path).rawBytes) != nil
    }
    for path in ["/ipns/n/a/b", "/ipns/n/a/b/", "/a/b", "/ipns/n/x", "", "/ipns/n"] {
      #expect(deniesAll("/ipfs/\(Self.roots[0])", path), "\(path)")
    }
    #expect(deniesAll("/ipfs/\(Self.roots[0])/a/b", "/ipns/n/a/b"))
    #expect(deniesAll("/ipfs/\(Self.roots[1])/b", "/ipns/n/a/b"))
    #expect(deniesAll("/ipfs/\(Self.roots[1])/b", "/a/b"))
    #expect(!deniesAll("/ipfs/\(Self.roots[1])/c", "/ipns/n/a/b"))
    #expect(
      denies("/ipfs/\(Self.roots[1])/b", "/a/b") && denies("/ipfs/\(Self.roots[1])/b*", "/a/bc/"))
    #expect(!denies("/ipfs/\(Self.roots[1])/a", "/a/b"))
    #expect(!denies("/ipfs/\(Self.roots[2])/b", "/a/b"))
    // Where the path and the roots do not fit each other the blocks alone count.
    #expect(
      denies("/ipfs/\(Self.roots[1])", "/a/b/c") && !denies("/ipfs/\(Self.roots[1])/b", "/a/b/c"))
    let nothing = list("/ipfs/\(Self.roots[0])").denial(ofRoots: RawSpan(), path: RawSpan())
    #expect(nothing == nil)
  }

  @Test func etags() throws {
    let list = self.list("/ipfs/\(Self.roots[0])")
    let (root, other) = (try cid(Self.roots[0]), try cid(Self.roots[1]))
    func isDenied(_ etag: String, _ root: CID) -> Bool {
      list.denial(ofEtag: bytes(etag).rawBytes, root: root) != nil
    }
    #expect(isDenied("\"\(root)\"", other) && isDenied("\"\(root.version1).raw\"", other))
    #expect(isDenied("W/\"\(root).car.abc\"", other) && !isDenied("W/\"\(root).car.abc\"", root))
    #expect(!isDenied("\"\(other)\"", root) && !isDenied("\"DirIndex-x_CID-\(other)\"", root))
    #expect(isDenied("\"DirIndex-x_CID-\(root)\"", other))
    for etag in ["\"DirIndex-\"", "\"DirIndex-_CID-\"", "\"DirIndex-_CID-", "\"DirIndex-"] {
      #expect(!isDenied(etag, other))
    }
    for etag in ["", "\"", "\"\"", "W/\"", "W/\"\"", ".", "\".\""] {
      #expect(!isDenied(etag, other))
    }
  }

  private func key(_ path: String, _ form: String) throws -> [UInt8] {
    var key = ByteBuffer(capacity: 64)
    key.append(0x61)
    key.append(ContentPath.Namespace.ipfs.rawValue)
    try cid(Self.roots[0]).appendKey(to: &key)
    key.append(bytes(path))
    key.append(bytes(form))
    return key.readable.array
  }

  @Test func canonicalKeys() throws {
    let list = self.list("/ipfs/\(Self.roots[0])/a*")
    func isDenied(_ key: [UInt8]) -> Bool { list.denial(ofKey: key.rawBytes) != nil }
    let whole = try key("/abc", "")
    #expect(isDenied(whole))
    let other = try key("/abc", "\0\u{1}x")
    #expect(isDenied(other))
    let form = try key("/b", "\0/a")
    #expect(!isDenied(form))
    let root = try key("", "")
    #expect(!isDenied(root))
    for count in 0..<12 { #expect(!isDenied(Array(whole.prefix(count)))) }
  }

  @Test func aWorkerForgetsWithTheList() {
    let denials = WorkerDenials(list("/ipns/a.example"))
    let key = Digest128(first: 5, second: 6)
    #expect(!denials.isCleared(key))
    denials.clear(key)
    #expect(denials.isCleared(key))
    #expect(!denials.isCleared(Digest128(first: 5, second: 7)))
    let finding = DenyFinding(file: 0, mark: DenyMark(line: 3))
    denials.note(finding, of: key)
    #expect(denials.denial(of: key) == finding)
    denials.take(list("/ipns/b.example", generation: 2))
    #expect(!denials.isCleared(key) && denials.denial(of: key) == nil)
    // The same rules in another table.
    denials.clear(key)
    denials.note(finding, of: key)
    denials.take(list("/ipns/b.example", generation: 2))
    #expect(denials.isCleared(key) && denials.denial(of: key) == finding)
  }

  /// A set has room for eight; the ninth takes the place of whom was told first.
  @Test func clearedKeysOfOneSet() {
    let cleared = ClearedKeys()
    let keys = (0..<9).map { number in
      Digest128(first: 5 + UInt64(number * ClearedKeys.sets), second: 100 + UInt64(number))
    }
    for key in keys.prefix(8) { cleared.insert(key, by: 1) }
    // Told again, it is no other one.
    cleared.insert(keys[0], by: 1)
    #expect(keys.prefix(8).allSatisfy { cleared.contains($0, by: 1) })
    #expect(!cleared.contains(keys[8], by: 1))
    cleared.insert(keys[8], by: 1)
    #expect(keys.dropFirst().allSatisfy { cleared.contains($0, by: 1) })
    #expect(!cleared.contains(keys[0], by: 1))
  }

  /// Random keys, lists that change, and a model that forgets nothing: what is said to be allowed was said to be, by
  /// that very list, and of as many as there is room for nearly all are remembered.
  @Test func clearedKeysAgainstAModel() {
    var random = SeededRandom(seed: 77)
    let cleared = ClearedKeys()
    var known: [UInt64: Set<Digest128>] = [:]
    var keys = (0..<40_000).map { _ in Digest128(first: random.next(), second: random.next()) }
    // Halves that a free place, or no generation, could be taken for.
    keys += [0, 1, 0x9e37_79b9_7f4a_7c15].map { Digest128(first: random.next(), second: $0) }
    for generation in 1...6 as ClosedRange<UInt64> {
      for key in keys where random.chance(0.5) {
        cleared.insert(key, by: generation)
        known[generation, default: []].insert(key)
      }
      for other in 0...7 as ClosedRange<UInt64> {
        let remembered = keys.filter { cleared.contains($0, by: other) }
        #expect(remembered.allSatisfy { known[other]?.contains($0) ?? false }, "\(other)")
        if other == generation {
          #expect(remembered.count >= (known[other]?.count ?? 0) * 99 / 100)
        }
      }
    }
  }

  @Test func sweepsAreOneAtATime() throws {
    let sweeps = DenialSweeps()
    let (first, second, third) = (list("/ipns/a.b"), list("/ipns/c.d"), list("/ipns/e.f"))
    let start = Instant(nanoseconds: 1_000_000_000)
    #expect(sweeps.begin(at: start) == nil)
    sweeps.want(first, second)
    let begun = try #require(sweeps.begin(at: start))
    #expect(begun.probe === first && begun.list === second)
    sweeps.want(first, second)
    sweeps.want(first, third)
    #expect(sweeps.begin(at: start) == nil)
    sweeps.end()
    // Two wishes are one for everything.
    let next = try #require(sweeps.begin(at: start))
    #expect(next.probe === third && next.list === third)
    sweeps.failed(third)
    #expect(sweeps.begin(at: start + .seconds(9)) == nil)
    let again = try #require(sweeps.begin(at: start + .seconds(10)))
    #expect(again.list === third)
  }
}
