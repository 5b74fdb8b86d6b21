internal import Base
internal import HTTP
internal import Router

/// The address that gives the same answer without Accept: what tells caches on the way, which know no
/// forms, two answers apart (gateway digest A2).
enum ContentLocation {
  /// The target's path and its query, with the form in it and in the order of names, as gateways
  /// write it.
  static func of(_ target: RawSpan, form: ContentForm, selection: CARSelection) -> [UInt8] {
    let mark = target.first(UInt8(ascii: "?"), from: 0, to: target.byteCount)
    let query = target.extracting(min(mark + 1, target.byteCount)..<target.byteCount)
    var pairs: [(name: [UInt8], value: [UInt8])] = [
      (Array("format".utf8), Array("\(form.name)".utf8))
    ]
    if form == .car { pairs += selection.typeParameters.map { (Array($0.utf8), Array($1.utf8)) } }
    let own = pairs.map(\.name)
    var parameters = QueryParameters(query)
    while let parameter = parameters.next() {
      let name = PercentCoding.query(query.bytes(parameter.name))
      if own.contains(name) { continue }
      pairs.append((name, PercentCoding.query(query.bytes(parameter.value))))
    }
    // Stable, so that pairs of one name keep their order.
    let sorted = pairs.enumerated().sorted {
      $0.element.name == $1.element.name
        ? $0.offset < $1.offset : $0.element.name.lexicographicallyPrecedes($1.element.name)
    }
    var location = ByteBuffer(capacity: 256)
    location.append(target.extracting(0..<mark))
    for (place, pair) in sorted.enumerated() {
      location.append(place == 0 ? UInt8(ascii: "?") : UInt8(ascii: "&"))
      FormEncoding.append(pair.element.name, to: &location)
      location.append(UInt8(ascii: "="))
      FormEncoding.append(pair.element.value, to: &location)
    }
    return location.readable.array
  }
}

/// Encoding of names and values of a query, as Go's `url.QueryEscape` does it.
private enum FormEncoding {
  static func append(_ bytes: [UInt8], to output: inout ByteBuffer) {
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."), UInt8(ascii: "~"):
        output.append(byte)
      case 0x20: output.append(UInt8(ascii: "+"))
      default: PercentCoding.appendEscape(of: byte, to: &output)
      }
    }
  }
}
