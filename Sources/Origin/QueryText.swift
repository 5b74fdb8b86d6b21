internal import Base
internal import HTTP

/// The pairs of a query, to be changed and written again.
struct QueryText {
  private var pairs: [(name: [UInt8], value: [UInt8])] = []

  init(_ query: [UInt8]) {
    let text = query.rawBytes
    var parameters = QueryParameters(text)
    while let pair = parameters.next() {
      pairs.append(
        (
          PercentText.decodeQuery(text.bytes(pair.name)),
          PercentText.decodeQuery(text.bytes(pair.value))
        ))
    }
  }

  /// Gives a name one value, instead of all that it has.
  mutating func set(_ name: String, _ value: String) {
    let name = Array(name.utf8)
    pairs.removeAll { $0.name == name }
    pairs.append((name, Array(value.utf8)))
  }

  func contains(_ name: String) -> Bool {
    pairs.contains { $0.name.elementsEqual(name.utf8) }
  }

  /// All pairs, sorted by name, as Go writes them.
  var text: String {
    let order = pairs.indices.sorted { one, other in
      let (first, second) = (pairs[one].name, pairs[other].name)
      return first == second ? one < other : first.lexicographicallyPrecedes(second)
    }
    return order.map { index in
      PercentText.encodeQuery(pairs[index].name) + "="
        + PercentText.encodeQuery(pairs[index].value)
    }.joined(separator: "&")
  }
}
