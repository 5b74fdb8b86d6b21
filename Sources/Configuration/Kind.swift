import Base
import Router

/// What a setting's value may be: how it is read from text, shown again and described.
struct Kind<Content: Equatable & Sendable>: Sendable {
  /// What to write, with range and unit, to follow "expected": "a size from 64KB to 16MB".
  let expected: String
  /// The value of a scalar's text; nil where it is not what is expected.
  let read: @Sendable (String) -> Content?
  let show: @Sendable (Content) -> String
  /// What is wrong with a text that `read` refuses; nil where what is expected says it all.
  var why: @Sendable (String) -> String? = { _ in nil }
}

extension Kind<Int> {
  static func count(_ range: ClosedRange<Int>) -> Kind {
    Kind(
      expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
      read: { text in Self.whole(text).flatMap { range.contains($0) ? $0 : nil } },
      show: { "\($0)" })
  }

  static func size(_ range: ClosedRange<Int>, powerOfTwo: Bool = false) -> Kind {
    let quantity = Quantity.size
    let bounds = "\(quantity.show(range.lowerBound)) to \(quantity.show(range.upperBound))"
    return Kind(
      expected: "a size from \(bounds)\(powerOfTwo ? " that is a power of two" : ""), "
        + "such as \(quantity.examples(in: range, of: [1 << 20, 10 << 30], atMost: 1))",
      read: { text in
        guard let bytes = quantity.read(text), range.contains(bytes) else { return nil }
        return powerOfTwo && bytes.nonzeroBitCount != 1 ? nil : bytes
      },
      show: { quantity.show($0) })
  }

  static func whole(_ text: String) -> Int? {
    text.utf8.allSatisfy { $0.isASCIIDigit } ? Int(text) : nil
  }
}

extension Kind<Interval> {
  static func duration(_ range: ClosedRange<Interval>) -> Kind {
    let quantity = Quantity.duration
    let bounds = Int(range.lowerBound.nanoseconds)...Int(range.upperBound.nanoseconds)
    let first = quantity.show(bounds.lowerBound)
    let last = quantity.show(bounds.upperBound)
    let familiar = [
      Interval.milliseconds(500), .seconds(30), .seconds(43_200), .seconds(30 * 86_400),
    ]
    let examples = quantity.examples(
      in: bounds, of: familiar.map { Int($0.nanoseconds) }, atMost: 2)
    return Kind(
      expected: "a duration from \(first) to \(last), such as \(examples)",
      read: { text in
        guard let nanoseconds = quantity.read(text) else { return nil }
        let interval = Interval(nanoseconds: Int64(nanoseconds))
        return range.contains(interval) ? interval : nil
      },
      show: { quantity.show(Int($0.nanoseconds)) })
  }
}

extension Kind<Settings.MaxAge> {
  static func maxAge(_ range: ClosedRange<Interval>) -> Kind {
    let duration = Kind<Interval>.duration(range)
    return Kind(
      expected: "off or \(duration.expected)",
      read: { $0 == "off" ? .off : duration.read($0).map { .after($0) } },
      show: { age in
        switch age {
        case .off: "off"
        case .after(let interval): duration.show(interval)
        }
      })
  }
}

extension Kind<HostPort> {
  /// An address of this machine; port 0 leaves the choice to the system.
  static let ownAddress = Kind(
    expected: "an address with a port, such as 127.0.0.1:8080 or \"[::1]:8080\" in quotes",
    read: { text in HostPort(text).flatMap { $0.isAddress ? $0 : nil } },
    show: { $0.description })
}

extension Kind<Network> {
  static let network = Kind(
    expected: "a network or an address, such as 10.0.0.0/8, \"::1\" or \"2001:db8::/32\" in quotes",
    read: { try? Network($0) },
    show: { $0.description },
    why: { text in
      do throws(NetworkError) {
        _ = try Network(text)
        return nil
      } catch {
        return error.sentence
      }
    })
}

extension Kind<HostPattern> {
  static let host = Kind(
    expected: "a host name or address, *.example.com in quotes, or \"*\" in quotes for all hosts",
    read: { try? HostPattern($0) },
    show: { $0.description },
    why: { text in
      do throws(HostPatternError) {
        _ = try HostPattern(text)
        return nil
      } catch {
        return error.sentence
      }
    })
}

extension Kind<Bool> {
  static let flag = Kind(
    expected: "true or false",
    read: { $0 == "true" ? true : $0 == "false" ? false : nil },
    show: { $0 ? "true" : "false" })
}

extension Kind<String> {
  static let path = Kind(expected: "a path", read: { isPath($0) ? $0 : nil }, show: { $0 })

  static func isPath(_ text: String) -> Bool {
    !text.isEmpty && !text.utf8.contains(0)
  }
}

extension Kind<Settings.Workers> {
  static func workers(_ range: ClosedRange<Int>) -> Kind {
    Kind(
      expected: "auto or a whole number from \(range.lowerBound) to \(range.upperBound)",
      read: { text in
        if text == "auto" { return .auto }
        guard let count = Kind<Int>.whole(text), range.contains(count) else { return nil }
        return .count(count)
      },
      show: { workers in
        switch workers {
        case .auto: "auto"
        case .count(let count): "\(count)"
        }
      })
  }
}

extension Kind
where Content: CaseIterable & RawRepresentable, Content.RawValue == String {
  static var choice: Kind {
    let names = Content.allCases.map(\.rawValue)
    let last = names.last ?? ""
    let others = names.dropLast().joined(separator: ", ")
    return Kind(
      expected: others.isEmpty ? last : "\(others) or \(last)",
      read: { Content(rawValue: $0) },
      show: { $0.rawValue })
  }
}
