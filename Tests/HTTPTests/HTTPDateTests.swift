import Base
import Foundation
import HTTP
import Testing

@Suite struct HTTPDateTests {
  private func parse(_ text: String) -> Int64? {
    let bytes = [UInt8](text.utf8)
    return HTTPDate.parse(bytes.rawBytes)
  }

  private func written(_ seconds: Int64) -> String {
    var buffer = ByteBuffer(capacity: 64)
    HTTPDate.append(seconds, to: &buffer)
    return buffer.readable.text
  }

  /// The example of RFC 9110, 5.6.7, in its three forms.
  @Test func readsTheThreeFormsOfTheRFC() {
    #expect(parse("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
    #expect(parse("Sunday, 06-Nov-94 08:49:37 GMT") == 784_111_777)
    #expect(parse("Sun Nov  6 08:49:37 1994") == 784_111_777)
    #expect(written(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(written(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
    #expect(parse("Thursday, 29-Feb-24 00:00:60 GMT") == 1_709_164_860)
  }

  @Test func agreesWithFoundationAndWithItself() {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    var random = SeededRandom(seed: 7)
    for _ in 0..<2_000 {
      let seconds = Int64(random.number(in: 0...253_402_300_799))
      let text = written(seconds)
      #expect(text == formatter.string(from: Date(timeIntervalSince1970: Double(seconds))))
      #expect(parse(text) == seconds)
    }
  }

  @Test func timesOutsideAreWrittenAsTheNearest() {
    #expect(written(-1) == written(0))
    #expect(written(.max) == "Fri, 31 Dec 9999 23:59:59 GMT")
    #expect(parse("Sat, 01 Jan 0000 00:00:00 GMT") == -62_167_219_200)
  }

  @Test(arguments: [
    "", ",", "Sun,", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 1900 08:49:37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",
    "Xun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, +6 Nov 1994 08:49:37 GMT", "Funday, 06-Nov-94 08:49:37 GMT", "Sun Nov 06 08:49:37 94",
    "Sun Nov   08:49:37 1994", "784111777",
  ])
  func refusesWhatIsNoDate(_ text: String) {
    #expect(parse(text) == nil)
  }
}
