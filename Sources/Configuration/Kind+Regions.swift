import Base
import HTTP

extension Kind<String> {
  static let regionName = Kind(
    expected: "a region's name", read: { Settings.Region.isName($0) ? $0 : nil }, show: { $0 })

  /// What a GET can ask for.
  static let target = Kind(
    expected: "a path that begins with /, without spaces, with its query if it has one",
    read: { text in
      text.utf8.first == UInt8(ascii: "/") && text.utf8.count <= 1024
        && text.utf8.allSatisfy { (0x21...0x7e).contains($0) } ? text : nil
    }, show: { $0 })
}

extension Kind<String> {
  /// A path of its own beside those of content.
  static let clusterPrefix = Kind(
    expected:
      "a path with a slash at both ends, of letters, digits, -, _ and ., such as /cluster/, and none of content",
    read: { text in
      let segments = text.split(separator: "/", omittingEmptySubsequences: false)
      let names = segments.dropFirst().dropLast()
      let isPath =
        segments.first == "" && segments.last == "" && !names.isEmpty && text.utf8.count <= 256
        && names.allSatisfy { name in
          !name.isEmpty && name != "." && name != ".."
            && name.utf8.allSatisfy { byte in
              byte.isASCIIDigit
                || byte.isTokenByte && byte.asciiLowercased >= UInt8(ascii: "a")
                  && byte.asciiLowercased <= UInt8(ascii: "z")
                || [0x2d, 0x2e, 0x5f].contains(byte)
            }
        }
      let isOthers = names.first.map { ["ipfs", "ipns", "health"].contains($0) } ?? false
      return isPath && !isOthers ? text : nil
    }, show: { $0 })
}

extension Kind<String?> {
  /// The name of a region that stands for itself.
  static let defaultRegion = Kind(
    expected: "a region's name, or \"\" for the first one",
    read: { text in
      text.isEmpty ? .some(nil) : Settings.Region.isName(text) ? .some(text) : nil
    }, show: { $0 ?? "" })

  static let fieldName = Kind(
    expected: "off or the name of a field, such as CF-IPCountry",
    read: { text in
      if text == "off" { return .some(nil) }
      let isName = (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(\.isTokenByte)
      return isName ? .some(text) : nil
    }, show: { $0 ?? "off" })

  static let optionalPath = Kind(
    expected: "off or a path",
    read: { text in
      if text == "off" { return .some(nil) }
      return Kind<String>.path.read(text).map { .some($0) }
    }, show: { $0 ?? "off" })
}

extension Kind<Int> {
  /// A count, or off, which is 0.
  static func countOrOff(_ range: ClosedRange<Int>) -> Kind {
    let count = count(range)
    return Kind(
      expected: "off or \(count.expected)", read: { $0 == "off" ? 0 : count.read($0) },
      show: { $0 == 0 ? "off" : count.show($0) })
  }
}

extension Kind<Interval> {
  /// A duration, or off, which is zero.
  static func durationOrOff(_ range: ClosedRange<Interval>) -> Kind {
    let duration = duration(range)
    return Kind(
      expected: "off or \(duration.expected)", read: { $0 == "off" ? .zero : duration.read($0) },
      show: { $0 == .zero ? "off" : duration.show($0) })
  }
}
