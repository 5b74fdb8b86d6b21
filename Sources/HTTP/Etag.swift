import Base

/// Comparisons of entity tags (RFC 9110, 8.8.3 and 13.1).
public enum Etag {
  /// Whether an If-None-Match value names `etag`, weak tags included; `*` names every tag.
  public static func weakMatch(list: RawSpan, etag: RawSpan) -> Bool {
    matches(list, etag, strong: false)
  }

  /// Whether an If-Match value names `etag`, neither being weak; `*` names every tag.
  public static func strongMatch(list: RawSpan, etag: RawSpan) -> Bool {
    matches(list, etag, strong: true)
  }

  /// Whether two tags are the same and neither is weak, as If-Range asks for.
  public static func strongEqual(_ one: RawSpan, _ other: RawSpan) -> Bool {
    guard let end = end(of: one, from: 0), end == one.byteCount, !isWeak(one, 0) else {
      return false
    }
    return one.equals(other)
  }

  private static func isWeak(_ text: RawSpan, _ start: Int) -> Bool {
    text.byte(start) == UInt8(ascii: "W")
  }

  /// The end of the entity tag that starts at an offset, nil where none does.
  private static func end(of text: RawSpan, from start: Int) -> Int? {
    var offset = start
    if offset + 1 < text.byteCount, isWeak(text, offset),
      text.byte(offset + 1) == UInt8(ascii: "/")
    {
      offset += 2
    }
    guard offset < text.byteCount, text.byte(offset) == UInt8(ascii: "\"") else { return nil }
    offset += 1
    while offset < text.byteCount {
      let byte = text.byte(offset)
      offset += 1
      if byte == UInt8(ascii: "\"") { return offset }
      if byte < 0x21 || byte == 0x7f { return nil }
    }
    return nil
  }

  private static func matches(_ list: RawSpan, _ etag: RawSpan, strong: Bool) -> Bool {
    if list.bytes(list.trimmed(from: 0, to: list.byteCount)).equals("*") { return true }
    guard let etagEnd = end(of: etag, from: 0), etagEnd == etag.byteCount else { return false }
    let etagIsWeak = isWeak(etag, 0)
    if strong && etagIsWeak { return false }
    let opaque = etag.extracting((etagIsWeak ? 2 : 0)..<etagEnd)
    var offset = 0
    while offset < list.byteCount {
      let byte = list.byte(offset)
      if byte.isBlank || byte == UInt8(ascii: ",") {
        offset += 1
        continue
      }
      // What follows a malformed tag cannot be told apart from it.
      guard let end = end(of: list, from: offset) else { return false }
      let weak = isWeak(list, offset)
      if !(strong && weak), list.extracting((offset + (weak ? 2 : 0))..<end).equals(opaque) {
        return true
      }
      offset = end
    }
    return false
  }
}
