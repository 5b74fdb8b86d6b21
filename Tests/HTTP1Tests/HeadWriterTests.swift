import Base
import HTTP
import HTTP1
import Testing

@Suite struct HeadWriterTests {
  private func written(_ body: (inout ByteBuffer) -> Void) -> String {
    var buffer = ByteBuffer(capacity: 64)
    body(&buffer)
    return buffer.readable.text
  }

  @Test func everyStatusLineIsTheGeneralOne() {
    for status in 100...599 {
      let line = written { HeadWriter.statusLine(status, to: &$0) }
      #expect(line == "HTTP/1.1 \(status) \(Status.reason(status))\r\n")
    }
  }

  @Test func writesFields() {
    let value = [UInt8]("\"x\"".utf8)
    let head = written {
      HeadWriter.field(.etag, value.rawBytes, to: &$0)
      HeadWriter.field(.contentLength, decimal: 0, to: &$0)
      HeadWriter.field(.acceptRanges, "bytes", to: &$0)
      HeadWriter.field(name: "X-A", value: "b", to: &$0)
      HeadWriter.endHead(to: &$0)
    }
    #expect(head == "ETag: \"x\"\r\nContent-Length: 0\r\nAccept-Ranges: bytes\r\nX-A: b\r\n\r\n")
  }

  @Test func noValueEndsItsLine() {
    for evil in ["a\r\nEvil: 1", "a\nb", "a\rb", "\u{0}", "a\u{7f}", "\r\n\r\n", "a\r"] {
      let text = written { HeadWriter.field(name: "X", value: evil, to: &$0) }
      let safe = String(
        String.UnicodeScalarView(
          evil.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
      #expect(text == "X: \(safe)\r\n")
    }
  }

  @Test func whatIsNoNameMethodOrTargetIsNotWritten() {
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}"] {
      var wasWritten = true
      let text = written { wasWritten = HeadWriter.field(name: name, value: "x", to: &$0) }
      #expect(!wasWritten && text.isEmpty)
      let method = [UInt8](name.utf8)
      let target: [UInt8] = [0x2f]
      let line = written {
        wasWritten = HeadWriter.requestLine(methodText: method.rawBytes, target.rawBytes, to: &$0)
      }
      #expect(!wasWritten && line.isEmpty)
    }
    for target in ["", "/a b", "/a\r\nEvil: 1", "/\t", "/\u{0}"] {
      let bytes = [UInt8](target.utf8)
      var wasWritten = true
      let line = written {
        wasWritten = HeadWriter.requestLine(.get, bytes.rawBytes, to: &$0)
      }
      #expect(!wasWritten && line.isEmpty)
    }
  }

  @Test func requestsComeBack() {
    var random = SeededRandom(seed: 11)
    for _ in 0..<500 {
      let target = [UInt8]("/\(random.next())?\(random.next())".utf8)
      let value = (0..<random.number(in: 1...60)).map { _ in UInt8(random.number(in: 0...255)) }
      let method = Method.allCases[random.number(in: 0...(Method.allCases.count - 1))]
      if method == .other || method == .connect { continue }
      var buffer = ByteBuffer(capacity: 64)
      HeadWriter.requestLine(method, target.rawBytes, to: &buffer)
      HeadWriter.field(.host, "a", to: &buffer)
      HeadWriter.field(.range, value.rawBytes, to: &buffer)
      HeadWriter.endHead(to: &buffer)
      let bytes = buffer.readable.array
      let (result, head) = parseRequest(bytes)
      guard case .complete(bytes.count) = result else {
        Issue.record("\(result)")
        continue
      }
      #expect(head.method == method && head.fields.count == 2)
      #expect(Array(bytes[head.target.range]) == target)
    }
  }

  @Test func responsesComeBack() {
    for status in 100...599 {
      var buffer = ByteBuffer(capacity: 64)
      HeadWriter.statusLine(status, to: &buffer)
      HeadWriter.field(.contentLength, decimal: Int64(status), to: &buffer)
      HeadWriter.endHead(to: &buffer)
      let bytes = buffer.readable.array
      let (result, head) = parseResponse(bytes)
      guard case .complete(bytes.count) = result else {
        Issue.record("\(result)")
        continue
      }
      #expect(head.status == status && head.contentLength == Int64(status))
    }
  }
}
