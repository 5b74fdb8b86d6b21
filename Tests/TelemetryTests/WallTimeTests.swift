import Base
import Foundation
import Testing

@testable import Telemetry

@Suite struct WallTimeTests {
  private func text(_ seconds: Int64) -> String {
    var output = ByteBuffer(capacity: 64)
    output.append(utc: seconds)
    return output.readable.text
  }

  @Test func knownTimesAreSpelledSo() {
    #expect(text(0) == "1970-01-01T00:00:00")
    #expect(text(-1) == "1969-12-31T23:59:59")
    #expect(text(951_782_399) == "2000-02-28T23:59:59")
    #expect(text(951_782_400) == "2000-02-29T00:00:00")
    #expect(text(4_107_542_399) == "2100-02-28T23:59:59")
    #expect(text(4_107_542_400) == "2100-03-01T00:00:00")
    #expect(text(.max) == "9999-12-31T23:59:59")
    #expect(text(.min) == "0000-01-01T00:00:00")
  }

  @Test func randomTimesAgreeWithFoundation() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
    var random = SeededRandom(seed: 3)
    for _ in 0..<2_000 {
      let seconds = random.number(in: 0...16_725_225_600)
      let date = Date(timeIntervalSince1970: Double(seconds))
      let parts = calendar.dateComponents(
        [.year, .month, .day, .hour, .minute, .second], from: date)
      let expected = String(
        format: "%04d-%02d-%02dT%02d:%02d:%02d", parts.year ?? 0, parts.month ?? 0,
        parts.day ?? 0, parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
      #expect(text(Int64(seconds)) == expected)
    }
  }
}
