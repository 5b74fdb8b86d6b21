import Base

/// A point in time by the calendar, for logs.
public struct WallTime: Equatable, Sendable {
  /// Seconds since 1970 (UTC).
  public var seconds: Int64
  /// 0 to 999.
  public var milliseconds: Int

  public init(seconds: Int64, milliseconds: Int) {
    self.seconds = seconds
    self.milliseconds = milliseconds
  }
}

extension WallTime {
  /// `2026-01-02T03:04:05.678Z` (UTC, RFC 3339).
  public var text: String {
    var text = ByteBuffer(capacity: 64)
    text.append(utc: seconds)
    text.append(".")
    text.append(milliseconds, digits: 3)
    text.append("Z")
    return text.readable.text
  }
}

/// A day of the proleptic Gregorian calendar, and the seconds within it.
private struct CalendarTime {
  var year: Int
  /// From 1.
  var month: Int
  var day: Int
  var second: Int

  /// Years are those of four digits: a time outside 0–9999 is set to the nearest end.
  init(utc seconds: Int64) {
    let seconds = min(max(seconds, -62_167_219_200), 253_402_300_799)
    let day = Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
    second = Int(seconds) - day * 86_400

    // Days to a date, in eras of 400 years that begin on 1 March (Hinnant, "chrono-compatible
    // low-level date algorithms", civil_from_days).
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    self.day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  }
}

extension ByteBuffer {
  /// Appends `2026-01-02T03:04:05` (UTC, RFC 3339 without fraction and zone).
  ///
  /// Years are those of four digits: a time outside 0–9999 is set to the nearest end.
  mutating func append(utc seconds: Int64) {
    let time = CalendarTime(utc: seconds)
    append(time.year, digits: 4)
    append(0x2d)
    append(time.month, digits: 2)
    append(0x2d)
    append(time.day, digits: 2)
    append(0x54)
    append(clock: time.second)
  }

  /// Appends `02/Jan/2026:03:04:05 +0000`, as web servers' logs have it since NCSA's.
  mutating func append(commonLog seconds: Int64) {
    let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    let time = CalendarTime(utc: seconds)
    append(time.day, digits: 2)
    append(0x2f)
    // A static string's bytes live as long as the process, and months are from 1 to 12.
    for place in 0..<3 { append(unsafe months.utf8Start[(time.month - 1) * 3 + place]) }
    append(0x2f)
    append(time.year, digits: 4)
    append(0x3a)
    append(clock: time.second)
    append(" +0000" as StaticString)
  }

  /// Appends `03:04:05`.
  private mutating func append(clock second: Int) {
    append(second / 3_600, digits: 2)
    append(0x3a)
    append(second / 60 % 60, digits: 2)
    append(0x3a)
    append(second % 60, digits: 2)
  }

  /// Appends the last digits of a number that is not negative, zeros in front.
  mutating func append(_ number: Int, digits: Int) {
    var rest = number.magnitude
    _ = unsafe fill(atLeast: digits) { tail in
      // `fill` gives at least so many bytes.
      for offset in stride(from: digits - 1, through: 0, by: -1) {
        let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
        unsafe tail[offset] = 0x30 + UInt8(truncatingIfNeeded: digit)
        rest = quotient
      }
      return digits
    }
  }
}
