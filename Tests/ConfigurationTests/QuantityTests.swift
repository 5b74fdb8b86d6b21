import Base
import Testing

@testable import Configuration

@Suite struct QuantityTests {
  @Test(arguments: [
    ("0B", 0), ("1B", 1), ("32KB", 32_768), ("1MB", 1_048_576), ("50GB", 53_687_091_200),
    ("50gb", 53_687_091_200), ("8TB", 8_796_093_022_208),
  ])
  func readsSizes(text: String, bytes: Int) {
    #expect(Quantity.size.read(text) == bytes)
  }

  @Test(arguments: [
    ("500ms", 500_000_000), ("30s", 30_000_000_000), ("2m", 120_000_000_000),
    ("1h", 3_600_000_000_000), ("365d", 31_536_000_000_000_000),
  ])
  func readsDurations(text: String, nanoseconds: Int) {
    #expect(Quantity.duration.read(text) == nanoseconds)
  }

  @Test(arguments: [
    "", "50", "GB", "50 GB", "-1GB", "+1GB", "1.5GB", "50GiB", "0x1GB", "1_0GB", "1GBs",
    "9223372036854775807KB", "99999999999999999999B", "१GB",
  ])
  func refusesSizes(text: String) {
    #expect(Quantity.size.read(text) == nil)
  }

  @Test func whatIsShownReadsBack() {
    var random = SeededRandom(seed: 3)
    for _ in 0..<5_000 {
      let bytes = random.number(in: 0...(1 << random.number(in: 0...60)))
      #expect(Quantity.size.read(Quantity.size.show(bytes)) == bytes)
      let milliseconds = random.number(in: 0...1_000_000_000) * 1_000_000
      #expect(Quantity.duration.read(Quantity.duration.show(milliseconds)) == milliseconds)
    }
    #expect(Quantity.size.show(10 << 30) == "10GB")
    #expect(Quantity.duration.show(90_000_000_000) == "90s")
  }
}
