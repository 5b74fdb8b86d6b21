import Base
import HTTP1
import Testing

@Suite struct HeadEditsTests {
  /// A head after the edits, behind an answer that is still in the buffer.
  private func edited(_ head: String, _ edits: [(name: String, value: String?)]) -> String {
    let before = "HTTP/1.1 200 OK\r\nX-A: before\r\n\r\n"
    var buffer = ByteBuffer(capacity: 64)
    buffer.append(before)
    let start = buffer.count
    buffer.append(head)
    var scratch = ByteBuffer(capacity: 64)
    scratch.append("old")
    HeadEdits(edits).apply(to: &buffer, from: start, scratch: &scratch)
    let text = buffer.readable.text
    #expect(text.hasPrefix(before))
    return String(text.dropFirst(before.count))
  }

  private let head = "HTTP/1.1 200 OK\r\nX-A: 1\r\nServer: s\r\nx-a: 2\r\nX-Ab: 3\r\n"

  @Test func fieldsAreSetReplacedAndRemoved() {
    #expect(edited(head, []) == head)
    #expect(edited(head, [("X-New", "n")]) == head + "X-New: n\r\n")
    #expect(
      edited(head, [("X-A", "9")]) == "HTTP/1.1 200 OK\r\nServer: s\r\nX-Ab: 3\r\nX-A: 9\r\n")
    #expect(edited(head, [("x-a", nil)]) == "HTTP/1.1 200 OK\r\nServer: s\r\nX-Ab: 3\r\n")
    #expect(
      edited(head, [("SERVER", nil), ("X-AB", "4"), ("X-Gone", nil)])
        == "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nX-AB: 4\r\n")
    #expect(edited(head, [("HTTP/1.1 200 OK", nil), ("", "x"), ("a b", "x")]) == head)
    #expect(edited("", [("X-A", "1"), ("X-B", nil)]) == "X-A: 1\r\n")
  }

  @Test func noValueEndsItsLine() {
    #expect(edited("", [("X-A", "1\r\nX-B: 2")]) == "X-A: 1  X-B: 2\r\n")
  }

  @Test func whatHasNoNamesIsEmpty() {
    #expect(HeadEdits().isEmpty)
    #expect(HeadEdits([("a b", nil)]).isEmpty)
    #expect(!HeadEdits([("a", nil)]).isEmpty)
  }

  /// Against the same with arrays.
  @Test func anyHeadKeepsTheRestInOrder() {
    var random = SeededRandom(seed: 51)
    let names = ["A", "b", "Cc", "cC", "D-d"]
    func name() -> String { names[random.number(in: 0...names.count - 1)] }
    for _ in 0..<2_000 {
      let lines = (0..<random.number(in: 0...8)).map { "\(name()): \($0)" }
      let edits: [(name: String, value: String?)] = (0..<random.number(in: 0...3)).map {
        (name(), $0 % 2 == 0 ? "new" : nil)
      }
      let gone = edits.map { $0.name.lowercased() + ":" }
      let kept = lines.filter { line in !gone.contains { line.lowercased().hasPrefix($0) } }
      let added = edits.filter { $0.value != nil }.map { "\($0.name): new" }
      let text = { (lines: [String]) in lines.map { $0 + "\r\n" }.joined() }
      #expect(edited(text(lines), edits) == text(kept + added))
    }
  }
}
