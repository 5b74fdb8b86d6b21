public import Base

/// Dates as HTTP writes them (RFC 9110, 5.6.7).
public enum HTTPDate {
  /// Appends 29 bytes such as `Sun, 06 Nov 1994 08:49:37 GMT`.
  ///
  /// Times before 1970 or after 9999 are written as the nearest one that can be.
  public static func append(_ secondsSince1970: Int64, to buffer: inout ByteBuffer) {
    let seconds = min(max(secondsSince1970, 0), 253_402_300_799)
    let days = seconds / 86_400
    let rest = seconds % 86_400
    let (year, month, day) = civil(days)
    buffer.append(weekday(days))
    twoDigits(day, to: &buffer)
    buffer.append(monthName(month))
    twoDigits(year / 100, to: &buffer)
    twoDigits(year % 100, to: &buffer)
    buffer.append(UInt8(ascii: " "))
    twoDigits(rest / 3600, to: &buffer)
    buffer.append(UInt8(ascii: ":"))
    twoDigits(rest / 60 % 60, to: &buffer)
    buffer.append(UInt8(ascii: ":"))
    twoDigits(rest % 60, to: &buffer)
    buffer.append(" GMT")
  }

  /// The seconds since 1970 of an IMF-fixdate or one of the two obsolete forms, nil where it is none.
  ///
  /// The two-digit year of the RFC 850 form is taken to be in 1970–2069.
  public static func parse(_ text: RawSpan) -> Int64? {
    let end = text.byteCount
    let comma = text.first(UInt8(ascii: ","), from: 0, to: end)
    if comma == end { return parseASCTime(text) }
    if comma == 3 { return parseFixdate(text) }
    return parseRFC850(text, comma)
  }

  private static func parseFixdate(_ text: RawSpan) -> Int64? {
    guard text.byteCount == 29, isWeekday(text), text.byte(4) == 0x20, text.byte(7) == 0x20,
      text.byte(11) == 0x20, text.byte(16) == 0x20, text.extracting(25..<29).equals(" GMT"),
      let day = number(text, 5, 2), let month = month(text, 8), let year = number(text, 12, 4),
      let time = time(text, 17)
    else { return nil }
    return seconds(year, month, day, time)
  }

  /// Such as `Sunday, 06-Nov-94 08:49:37 GMT`.
  private static func parseRFC850(_ text: RawSpan, _ comma: Int) -> Int64? {
    guard comma >= 6, text.byteCount == comma + 24, isLongWeekday(text.extracting(0..<comma)),
      text.byte(comma + 1) == 0x20, text.byte(comma + 4) == UInt8(ascii: "-"),
      text.byte(comma + 8) == UInt8(ascii: "-"), text.byte(comma + 11) == 0x20,
      text.extracting((comma + 20)..<(comma + 24)).equals(" GMT"),
      let day = number(text, comma + 2, 2), let month = month(text, comma + 5),
      let year = number(text, comma + 9, 2), let time = time(text, comma + 12)
    else { return nil }
    return seconds(year + (year < 70 ? 2000 : 1900), month, day, time)
  }

  /// Such as `Sun Nov  6 08:49:37 1994`.
  private static func parseASCTime(_ text: RawSpan) -> Int64? {
    guard text.byteCount == 24, isWeekday(text), text.byte(3) == 0x20, text.byte(7) == 0x20,
      text.byte(10) == 0x20, text.byte(19) == 0x20, let month = month(text, 4),
      let day = text.byte(8) == 0x20 ? number(text, 9, 1) : number(text, 8, 2),
      let time = time(text, 11), let year = number(text, 20, 4)
    else { return nil }
    return seconds(year, month, day, time)
  }

  private static func number(_ text: RawSpan, _ start: Int, _ digits: Int) -> Int64? {
    text.extracting(start..<(start + digits)).decimal
  }

  /// The seconds of a day at `hh:mm:ss`; a leap second counts as the next one.
  private static func time(_ text: RawSpan, _ start: Int) -> Int64? {
    guard text.byte(start + 2) == UInt8(ascii: ":"), text.byte(start + 5) == UInt8(ascii: ":"),
      let hour = number(text, start, 2), let minute = number(text, start + 3, 2),
      let second = number(text, start + 6, 2), hour < 24, minute < 60, second <= 60
    else { return nil }
    return hour * 3600 + minute * 60 + second
  }

  private static func seconds(_ year: Int64, _ month: Int64, _ day: Int64, _ time: Int64) -> Int64?
  {
    guard day >= 1, day <= daysIn(month, of: year) else { return nil }
    return days(year, month, day) * 86_400 + time
  }

  private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days since 1970-01-01 of a date in the Gregorian calendar, years from 0.
  ///
  /// Years are counted from March, so that the leap day is the last one of a year.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    // 400 years are moved out of the way of year 0's January.
    let shifted = (month > 2 ? year : year - 1) + 400
    let era = shifted / 400
    let yearOfEra = shifted % 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return (era - 1) * 146_097 + dayOfEra - 719_468
  }

  /// The date of a day since 1970-01-01, the inverse of `days` for days from 0.
  private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }

  private static func twoDigits(_ number: Int64, to buffer: inout ByteBuffer) {
    buffer.append(0x30 + UInt8(truncatingIfNeeded: number / 10))
    buffer.append(0x30 + UInt8(truncatingIfNeeded: number % 10))
  }

  private static func weekday(_ days: Int64) -> StaticString {
    switch days % 7 {
    case 0: "Thu, "
    case 1: "Fri, "
    case 2: "Sat, "
    case 3: "Sun, "
    case 4: "Mon, "
    case 5: "Tue, "
    default: "Wed, "
    }
  }

  private static func isWeekday(_ text: RawSpan) -> Bool {
    let name = text.extracting(0..<3)
    return name.equals("Mon") || name.equals("Tue") || name.equals("Wed") || name.equals("Thu")
      || name.equals("Fri") || name.equals("Sat") || name.equals("Sun")
  }

  private static func isLongWeekday(_ name: RawSpan) -> Bool {
    name.equals("Monday") || name.equals("Tuesday") || name.equals("Wednesday")
      || name.equals("Thursday") || name.equals("Friday") || name.equals("Saturday")
      || name.equals("Sunday")
  }

  private static func monthName(_ month: Int64) -> StaticString {
    switch month {
    case 1: " Jan "
    case 2: " Feb "
    case 3: " Mar "
    case 4: " Apr "
    case 5: " May "
    case 6: " Jun "
    case 7: " Jul "
    case 8: " Aug "
    case 9: " Sep "
    case 10: " Oct "
    case 11: " Nov "
    default: " Dec "
    }
  }

  private static func month(_ text: RawSpan, _ start: Int) -> Int64? {
    let name = text.extracting(start..<(start + 3))
    return if name.equals("Jan") { 1 } else if name.equals("Feb") { 2 } else if name.equals("Mar") {
      3
    } else if name.equals("Apr") { 4 } else if name.equals("May") { 5 } else if name.equals("Jun") {
      6
    } else if name.equals("Jul") { 7 } else if name.equals("Aug") { 8 } else if name.equals("Sep") {
      9
    } else if name.equals("Oct") { 10 } else if name.equals("Nov") { 11 } else if name.equals("Dec")
    { 12 } else { nil }
  }
}
