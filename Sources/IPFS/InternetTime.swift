import Base

/// Points in time as texts of RFC 3339.
enum InternetTime {
  /// Seconds since 1970 of a text like `2026-01-02T03:04:05.678Z`, also with an offset as `+01:30`.
  ///
  /// Parts of a second are left away, a leap second counts as the one after it. Nil for other texts.
  static func seconds(_ text: RawSpan) -> Int64? {
    guard text.byteCount >= 20,
      let year = number(text, 0, 4), separator(text, 4, 0x2d),
      let month = number(text, 5, 2), 1...12 ~= month, separator(text, 7, 0x2d),
      let day = number(text, 8, 2), 1...days(of: month, year) ~= day,
      separator(text, 10, 0x54) || separator(text, 10, 0x74),
      let hour = number(text, 11, 2), hour < 24, separator(text, 13, 0x3a),
      let minute = number(text, 14, 2), minute < 60, separator(text, 16, 0x3a),
      let second = number(text, 17, 2), second <= 60
    else { return nil }
    var offset = 19
    if separator(text, offset, 0x2e) {
      let first = offset + 1
      offset = first
      while offset < text.byteCount, text.byte(offset).isASCIIDigit { offset += 1 }
      guard offset > first else { return nil }
    }
    guard let zone = zone(text, offset) else { return nil }
    return daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zone
  }

  /// Seconds east of Greenwich, of what ends the text.
  private static func zone(_ text: RawSpan, _ offset: Int) -> Int64? {
    if text.byteCount - offset == 1 {
      return text.byte(offset) == 0x5a || text.byte(offset) == 0x7a ? 0 : nil
    }
    guard text.byteCount - offset == 6,
      separator(text, offset, 0x2b) || separator(text, offset, 0x2d),
      let hours = number(text, offset + 1, 2), hours < 24, separator(text, offset + 3, 0x3a),
      let minutes = number(text, offset + 4, 2), minutes < 60
    else { return nil }
    let seconds = hours * 3600 + minutes * 60
    return text.byte(offset) == 0x2d ? -seconds : seconds
  }

  private static func number(_ text: RawSpan, _ start: Int, _ count: Int) -> Int64? {
    guard start + count <= text.byteCount else { return nil }
    var value: Int64 = 0
    for offset in start..<start + count {
      guard text.byte(offset).isASCIIDigit else { return nil }
      value = value * 10 + Int64(text.byte(offset) - 0x30)
    }
    return value
  }

  private static func separator(_ text: RawSpan, _ offset: Int, _ byte: UInt8) -> Bool {
    offset < text.byteCount && text.byte(offset) == byte
  }

  private static func isLeap(_ year: Int64) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  private static func days(of month: Int64, _ year: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    // Years begin in March here, so that the leap day is their last; 719,468 days lie before 1970.
    let shifted = month > 2 ? year : year - 1
    let monthsSinceMarch = (month + 9) % 12
    let century = shifted >= 0 ? shifted / 400 : -1
    let ofCentury = shifted - century * 400
    let ofYear = (153 * monthsSinceMarch + 2) / 5 + day - 1
    let days = ofCentury * 365 + ofCentury / 4 - ofCentury / 100 + ofYear
    return century * 146_097 + days - 719_468
  }
}
