internal import Base
internal import HTTP

/// What a Range field means for a body, as boxo reads it: of several ranges the first that exists is served.
enum ServedRange: Equatable {
  case whole
  case part(Range<Int64>)
  /// 416.
  case unsatisfiable
  /// 400, or 416 where there is no body to be read.
  case malformed

  private enum Spec {
    case closed(first: Int64, last: Int64)
    case suffix(Int64)
  }

  /// Reads a field's value for a body of a size; the unit's name counts in small letters only.
  init(_ text: [UInt8], size: Int64) {
    guard let specs = Self.specs(text) else {
      self = .malformed
      return
    }
    var parts: [Range<Int64>] = []
    for spec in specs {
      switch spec {
      case .closed(let first, let last):
        if first < size { parts.append(first..<min(last, size - 1) + 1) }
      case .suffix(let count):
        if count > 0, size > 0 { parts.append(size - min(count, size)..<size) }
      }
    }
    guard size > 0, !specs.isEmpty else {
      self = .whole
      return
    }
    guard let first = parts.first else {
      self = .unsatisfiable
      return
    }
    // More than there is, all together: the client had better have all of it.
    var sum: Int64 = 0
    for part in parts {
      let (next, overflow) = sum.addingReportingOverflow(Int64(part.count))
      sum = overflow ? .max : next
    }
    self = sum > size ? .whole : .part(first)
  }

  /// Whether the first range asks for more of the end than there is.
  static func reachesBeforeStart(_ text: [UInt8], size: Int64) -> Bool {
    guard case .suffix(let count)? = specs(text)?.first else { return false }
    return count > size
  }

  private static func specs(_ text: [UInt8]) -> [Spec]? {
    guard text.starts(with: "bytes=".utf8) else { return nil }
    var specs: [Spec] = []
    for element in text.dropFirst(6).split(separator: UInt8(ascii: ",")) {
      let range = element.trimmingBlanks
      if range.isEmpty { continue }
      guard let dash = range.firstIndex(of: UInt8(ascii: "-")) else { return nil }
      let (first, last) = (range[..<dash].trimmingBlanks, range[(dash + 1)...].trimmingBlanks)
      if first.isEmpty {
        guard let count = last.decimal else { return nil }
        specs.append(.suffix(count))
        continue
      }
      guard let from = first.decimal else { return nil }
      if last.isEmpty {
        specs.append(.closed(first: from, last: .max))
      } else {
        guard let to = last.decimal, from <= to else { return nil }
        specs.append(.closed(first: from, last: to))
      }
    }
    return specs
  }
}

extension ArraySlice where Element == UInt8 {
  fileprivate var trimmingBlanks: ArraySlice<UInt8> {
    var trimmed = drop(while: \.isBlank)
    while let last = trimmed.last, last.isBlank { trimmed.removeLast() }
    return trimmed
  }

  /// The number that decimal digits are; nil where they are none, or it does not fit.
  fileprivate var decimal: Int64? {
    guard !isEmpty, allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
    return Int64(String(decoding: self, as: UTF8.self))
  }
}
