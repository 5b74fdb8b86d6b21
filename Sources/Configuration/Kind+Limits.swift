import Base

extension Kind<String> {
  static let limitName = Kind(
    expected: "a name of \(Settings.Region.form)",
    read: { Settings.Region.isName($0) ? $0 : nil }, show: { $0 })
}

extension Kind<Settings.Rate?> {
  /// Requests in a time.
  static let requestRateOrOff = rateOrOff(
    expected: "off, or a rate from 1/h to 1000000/s, such as 10/s, 100/m or 1000/h",
    read: { text in
      guard text.utf8.count <= 7, text.utf8.allSatisfy(\.isASCIIDigit), let count = Int(text),
        (1...1_000_000).contains(count)
      else { return nil }
      return count
    }, show: { "\($0)" })

  /// Bytes in a time.
  static let byteRateOrOff = rateOrOff(
    expected: "off, or a rate from 1B/h to 1TB/s, such as 50MB/s or 10GB/h",
    read: { text in
      guard let bytes = Quantity.size.read(text), (1...1 << 40).contains(bytes) else { return nil }
      return bytes
    }, show: { Quantity.size.show($0) })

  private static func rateOrOff(
    expected: String, read: @escaping @Sendable (String) -> Int?,
    show: @escaping @Sendable (Int) -> String
  ) -> Kind {
    Kind(
      expected: expected,
      read: { text in
        if text == "off" { return .some(nil) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = read(String(parts[0])),
          let period = Settings.Rate.Period(rawValue: String(parts[1]))
        else { return nil }
        return Settings.Rate(count: count, period: period)
      },
      show: { rate in rate.map { "\(show($0.count))/\($0.period.rawValue)" } ?? "off" })
  }
}

extension Kind<Settings.RateLimit.Burst> {
  /// Requests, or bytes with their unit.
  static let burst = Kind(
    expected: "a whole number from 0 to 1000000, or with bytes a size, such as 200MB",
    read: { text in
      if text.utf8.allSatisfy(\.isASCIIDigit) {
        guard let count = Int(text), (0...1_000_000).contains(count) else { return nil }
        return .count(count)
      }
      guard let bytes = Quantity.size.read(text), bytes <= 1 << 50 else { return nil }
      return .size(bytes)
    },
    show: { burst in
      switch burst {
      case .count(let count): "\(count)"
      case .size(let bytes): Quantity.size.show(bytes)
      }
    })
}
