import Admission
import Base
import Testing

@Suite struct DenylistTextTests {
  private let root = "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8"

  @Test func headers() {
    func header(_ text: String) -> [Int]? {
      DenylistText.header(in: Array(text.utf8).rawBytes).map { [$0.bytes, $0.end, $0.lines] }
    }
    #expect(header("version: 1\n---\n/ipfs/x\n") == [11, 15, 2])
    #expect(header("---\n/ipfs/x\n") == [0, 4, 1])
    #expect(header("a: b\r\n---\r\n") == [6, 11, 2])
    #expect(header("/ipfs/x\n/ipfs/y\n") == nil)
    #expect(header("a: b\n----\n") == nil && header("a: b\n---") == nil && header("") == nil)
    let long = String(repeating: "#\n", count: DenylistText.maximumHeader / 2)
    #expect(header(long + "---\n") == nil)
  }

  @Test func anyPiecesGiveTheSameRules() {
    let key = DenyKey()
    let text = (0..<40).map { line in
      switch line % 4 {
      case 0: "/ipfs/\(root)/\(line)\r\n"
      case 1: "# comment \(line)\n"
      case 2: "nonsense \(line)\n"
      default: "!/ipfs/\(root)/\(line - 3)/*\n"
      }
    }.joined()
    let bytes = Array(text.utf8)
    for seed in 0..<60 {
      var random = SeededRandom(seed: UInt64(seed))
      var reader = DenylistText(expecting: 16, key: key)
      var held: [UInt8] = []
      var offset = 0
      while offset < bytes.count {
        let count = min(random.number(in: 1...90), bytes.count - offset)
        held += bytes[offset..<offset + count]
        offset += count
        held.removeFirst(reader.read(held.rawBytes))
      }
      #expect(held.isEmpty && reader.line == 40 && reader.offset == bytes.count)
      #expect(reader.invalidLines == 10 && reader.rules.count == 20)
      let complaints = reader.takeComplaints()
      #expect(complaints.map(\.line) == (0..<10).map { 4 * $0 + 3 })
      #expect(reader.takeComplaints().isEmpty)
    }
  }

  @Test func aLineThatIsTooLongIsPassedOver() {
    let key = DenyKey()
    var reader = DenylistText(expecting: 4, key: key)
    let long = Array(repeating: UInt8(ascii: "x"), count: DenylistText.maximumLine)
    #expect(reader.read(long.rawBytes) == long.count)
    #expect(reader.read(long.rawBytes) == long.count)
    let rest = Array("xyz\n/ipfs/\(root)\n".utf8)
    #expect(reader.read(rest.rawBytes) == rest.count)
    #expect(reader.invalidLines == 1 && reader.rules.count == 1)
    #expect(reader.takeComplaints() == [DenyComplaint(line: 1, error: .tooLong)])
    let list = Denylist([reader.rules], key: key, generation: 1)
    #expect(cid(root).flatMap { list.denial(of: $0, path: RawSpan()) }?.mark.line == 2)
  }

  @Test func appendedRulesAreGivenOnce() {
    let key = DenyKey()
    var reader = DenylistText(expecting: 4, key: key)
    _ = reader.read(Array("/ipfs/\(root)/a\n".utf8).rawBytes)
    reader.endBuilding()
    #expect(reader.takeAppended().count == 0)
    let before = reader.rules
    _ = reader.read(Array("/ipfs/\(root)/b\n!/ipfs/\(root)/a\n".utf8).rawBytes)
    #expect(reader.rules.count == 3 && reader.rules.laterCount == 2)
    let old = Denylist([before], key: key, generation: 1)
    let new = Denylist([reader.rules], key: key, generation: 2)
    let added = Denylist([reader.takeAppended()], key: key, generation: 2)
    #expect(old.denies(path: "/ipfs/\(root)/a") == true)
    #expect(old.denies(path: "/ipfs/\(root)/b") == false)
    #expect(new.denies(path: "/ipfs/\(root)/a") == false)
    #expect(new.denies(path: "/ipfs/\(root)/b") == true)
    #expect(added.denies(path: "/ipfs/\(root)/b") == true)
    #expect(reader.takeAppended().count == 0)
  }

  @Test func aMarkOfUTF8IsNoPartOfTheFirstRule() {
    let list = denylist("\u{feff}/ipfs/\(root)\n")
    #expect(list.denies(block: root))
  }

  @Test func theLastLineNeedsNoEnd() {
    #expect(denylist("# x\n/ipfs/\(root)").denies(block: root))
  }

  @Test func countingFindsWhatMayBeRules() {
    func count(_ text: String, after last: String = "\n") -> Int {
      DenylistText.rules(in: Array(text.utf8).rawBytes, after: last.utf8.first ?? 0)
    }
    #expect(count("/a\n/b\n") == 2 && count("# a\n\n\r\n/b\n/c") == 2)
    #expect(count("rest\n/b\n", after: "x") == 1 && count("") == 0)
  }
}
