import Base
import HTTP
import Testing

/// The vectors of the W3C's own suite and of its recommendation's text.
@Suite struct TraceContextTests {
  private func read(_ text: String) -> TraceContext? {
    TraceContext(Array(text.utf8).rawBytes)
  }

  private func written(_ context: TraceContext) -> String {
    var output = ByteBuffer(capacity: 64)
    context.append(to: &output)
    return output.readable.text
  }

  @Test(arguments: [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
    "00-00000000000000000000000000000001-0000000000000001-01",
  ])
  func whatIsRightReadsAndWritesBack(text: String) throws {
    let context = try #require(read(text))
    #expect(written(context) == text)
    #expect(context.isSampled == text.hasSuffix("1"))
    var trace = ByteBuffer(capacity: 64)
    context.appendTrace(to: &trace)
    #expect(trace.readable.text == text.dropFirst(3).prefix(32))
  }

  @Test(arguments: [
    // A later version, with and without more behind it.
    "cc-12345678901234567890123456789012-1234567890123456-01",
    "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
    "01-12345678901234567890123456789012-1234567890123456-01-",
    // Flags that are not defined are not given on.
    "00-12345678901234567890123456789012-1234567890123456-ff",
    "00-12345678901234567890123456789012-1234567890123456-09",
  ])
  func whatMayBeReadGoesOnInThisVersion(text: String) throws {
    #expect(
      written(try #require(read(text)))
        == "00-12345678901234567890123456789012-1234567890123456-01")
  }

  @Test(arguments: [
    "", "00", "00-", "00-12345678901234567890123456789012",
    "00-12345678901234567890123456789012-1234567890123456",
    "00-12345678901234567890123456789012-1234567890123456-",
    "00-12345678901234567890123456789012-1234567890123456-0",
    // Something behind a version that has nothing there.
    "00-12345678901234567890123456789012-1234567890123456-01.",
    "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
    "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-not-be-like",
    // A version that there will never be, and one in upper case.
    "ff-12345678901234567890123456789012-1234567890123456-01",
    "CC-12345678901234567890123456789012-1234567890123456-01",
    ".0-12345678901234567890123456789012-1234567890123456-01",
    "0.-12345678901234567890123456789012-1234567890123456-01",
    // Zeros.
    "00-00000000000000000000000000000000-1234567890123456-01",
    "00-12345678901234567890123456789012-0000000000000000-01",
    // Characters that are no digits in lower case.
    "00-.2345678901234567890123456789012-1234567890123456-01",
    "00-1234567890123456789012345678901.-1234567890123456-01",
    "00-1234567890123456789012345678901F-1234567890123456-01",
    "00-12345678901234567890123456789012-.234567890123456-01",
    "00-12345678901234567890123456789012-123456789012345.-01",
    "00-12345678901234567890123456789012-123456789012345A-01",
    "00-12345678901234567890123456789012-1234567890123456-.0",
    "00-12345678901234567890123456789012-1234567890123456-0F",
    // Parts of other lengths.
    "00-123456789012345678901234567890123-1234567890123456-01",
    "00-1234567890123456789012345678901-1234567890123456-01-",
    "00-12345678901234567890123456789012-12345678901234567-01",
    "00_12345678901234567890123456789012_1234567890123456_01",
    " 00-12345678901234567890123456789012-1234567890123456-01",
  ])
  func whatIsWrongIsNoTrace(text: String) {
    #expect(read(text) == nil)
  }

  @Test func oneByteOffIsRefusedOrAnotherTrace() throws {
    let right = Array("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".utf8)
    let read = TraceContext(right.rawBytes)
    let context = try #require(read)
    for place in right.indices {
      for byte in UInt8.min...UInt8.max where byte != right[place] {
        var changed = right
        changed[place] = byte
        guard let other = TraceContext(changed.rawBytes) else { continue }
        // The version and the flags' upper bits are not given on.
        #expect(other != context || place < 2 || place > 52)
        #expect(written(other).utf8.count == TraceContext.bytes)
      }
    }
  }

  @Test func statesAreGivenOnAsLongAsTheyAreText() {
    func isState(_ bytes: [UInt8]) -> Bool { TraceContext.isState(bytes.rawBytes) }
    #expect(isState(Array("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE".utf8)))
    #expect(isState(Array(repeating: 0x61, count: TraceContext.mostState)))
    #expect(!isState(Array(repeating: 0x61, count: TraceContext.mostState + 1)))
    #expect(!isState([]) && !isState([0x61, 0x0a]) && !isState([0x80]) && !isState([0x7f]))
  }
}
