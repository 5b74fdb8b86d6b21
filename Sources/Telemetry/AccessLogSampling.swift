internal import Base

/// Chooses which of many requests alike are logged.
///
/// By chance and not by counting: whoever always asks for the same twenty files in the same order would
/// otherwise be seen with the same ones each time.
struct AccessLogSampling {
  /// One of so many is taken, from 1.
  let oneOf: Int
  private var random: SeededRandom

  init(oneOf: Int, seed: UInt64) {
    self.oneOf = max(oneOf, 1)
    random = SeededRandom(seed: seed)
  }

  /// Whether the next one is taken.
  mutating func takes() -> Bool {
    oneOf == 1 || random.next().multipliedFullWidth(by: UInt64(oneOf)).high == 0
  }
}
