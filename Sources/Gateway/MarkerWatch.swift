internal import Base

/// Looks for the text that a gateway writes into a body which it cannot finish (gateway digest A5).
///
/// It counts towards the length that was announced, the connection breaks behind it, and it is nothing of
/// the content. So the end of what has come is held back while it could be that text: more bytes behind it,
/// or a clean end before it is whole, show that it was content after all.
struct MarkerWatch {
  static let marker = Array(
    ("\n\n[Gateway Error: Response truncated - unable to retrieve remaining data "
      + "within timeout period]").utf8)

  /// Where the comparison goes on after a byte that does not fit (Knuth, Morris and Pratt).
  private static let fallbacks: [Int] = {
    var fallbacks = [0]
    var matched = 0
    for byte in marker.dropFirst() {
      while matched > 0, marker[matched] != byte { matched = fallbacks[matched - 1] }
      if marker[matched] == byte { matched += 1 }
      fallbacks.append(matched)
    }
    return fallbacks
  }()

  /// How many bytes at the end of what has come are the marker's first ones.
  private(set) var held = 0

  /// Whether all of it stands at the end.
  var isWhole: Bool { held == Self.marker.count }

  /// Takes the next bytes of a body.
  mutating func take(_ bytes: RawSpan) {
    var offset = 0
    if bytes.byteCount >= Self.marker.count {
      // What stands before these can have no part in it.
      held = 0
      offset = bytes.byteCount - Self.marker.count
    }
    while offset < bytes.byteCount {
      let byte = bytes.byte(offset)
      if isWhole { held = Self.fallbacks[held - 1] }
      while held > 0, Self.marker[held] != byte { held = Self.fallbacks[held - 1] }
      if Self.marker[held] == byte { held += 1 }
      offset += 1
    }
  }
}
