internal import Base
internal import HTTP
internal import IPFS

/// What query and fields choose among the forms of one content, as boxo does (gateway digest A1).
struct FormChoice {
  /// Why a choice is left to the upstream, or refused.
  enum Failure: Error {
    /// A value that is not known: what it means is the upstream's to say.
    case unusual
    /// Accept names a type of this family that does not exist.
    case unknownType
  }

  var form = ContentForm.file
  /// Whether Accept chose it, so that Content-Location has to tell.
  var isFromAccept = false
  /// As sent, in the request's text.
  var filename = ByteRange.empty
  var isDownload = false
  var selection = CARSelection()

  /// Reads both; `isContent` says whether a query's other parameters mean anything.
  static func choose(_ request: RequestHead, _ text: RawSpan) throws(Failure) -> FormChoice {
    var choice = FormChoice()
    var asked: ContentForm?
    if !request.query.isEmpty {
      asked = try choice.read(query: request.query, text)
    }
    for field in request.fields where field.token == .accept {
      if let entry = firstEntry(of: text.bytes(field.value)) {
        try choice.read(entry: text.bytes(field.value).bytes(entry), asked: asked)
        break
      }
    }
    if let asked { choice.form = asked }
    return choice
  }

  // MARK: The query

  private mutating func read(
    query place: ByteRange, _ text: RawSpan
  ) throws(Failure) -> ContentForm? {
    let query = text.bytes(place)
    var asked: ContentForm?
    var seen: UInt8 = 0
    var parameters = QueryParameters(query)
    while let parameter = parameters.next() {
      let name = query.bytes(parameter.name)
      let value = query.bytes(parameter.value)
      if name.hasEscape || value.hasEscape {
        let plainName = PercentCoding.query(name)
        let plainValue = PercentCoding.query(value)
        try take(
          plainName.rawBytes, plainValue.rawBytes, at: parameter.value, of: place, &asked, &seen)
      } else {
        try take(name, value, at: parameter.value, of: place, &asked, &seen)
      }
    }
    return asked
  }

  /// Takes a decoded pair; of several with one name the first one counts.
  private mutating func take(
    _ name: RawSpan, _ value: RawSpan, at place: ByteRange, of query: ByteRange,
    _ asked: inout ContentForm?, _ seen: inout UInt8
  ) throws(Failure) {
    func isFirst(_ bit: UInt8) -> Bool {
      defer { seen |= bit }
      return seen & bit == 0
    }
    if name.equals("format") {
      if isFirst(1) { asked = ContentForm.named(value) }
    } else if name.equals("filename") {
      if isFirst(2), !place.isEmpty {
        filename = ByteRange(start: Int(query.start) + Int(place.start), count: Int(place.count))
      }
    } else if name.equals("download") {
      if isFirst(4) { isDownload = value.equals("true") }
    } else if let part = CARParameters.Parameter(inURL: name) {
      guard selection.set(part, value, isFromURL: true) else { throw .unusual }
    }
  }

  // MARK: Accept

  /// The first entry of an Accept value that names a type which gateways answer in its own form,
  /// whatever its weight.
  static func firstEntry(of accept: RawSpan) -> ByteRange? {
    var start = 0
    while start < accept.byteCount {
      while start < accept.byteCount,
        accept.byte(start).isBlank || accept.byte(start) == UInt8(ascii: ",")
      {
        start += 1
      }
      let end = accept.first(UInt8(ascii: ","), from: start, to: accept.byteCount)
      let entry = accept.extracting(start..<end)
      if entry.hasPrefixIgnoringCase("application/vnd.ipld")
        || entry.hasPrefixIgnoringCase("application/vnd.ipfs")
        || entry.hasPrefixIgnoringCase("application/x-tar")
        || entry.hasPrefixIgnoringCase("application/json")
        || entry.hasPrefixIgnoringCase("application/cbor")
      {
        return ByteRange(start: start, count: end - start)
      }
      start = end
    }
    return nil
  }

  private mutating func read(
    entry: RawSpan, asked: ContentForm?
  ) throws(Failure) {
    let semicolon = entry.first(UInt8(ascii: ";"), from: 0, to: entry.byteCount)
    let type = entry.bytes(entry.trimmed(from: 0, to: semicolon))
    let named = ContentForm.of(mediaType: type)
    if let asked {
      guard named == asked else { return }
    } else {
      guard let named else { throw .unknownType }
      form = named
      isFromAccept = true
    }
    guard named == .car else { return }
    var offset = semicolon + 1
    while offset < entry.byteCount {
      let end = entry.first(UInt8(ascii: ";"), from: offset, to: entry.byteCount)
      let equals = entry.first(UInt8(ascii: "="), from: offset, to: end)
      if equals < end,
        let part = CARParameters.Parameter(
          inAccept: entry.bytes(entry.trimmed(from: offset, to: equals)))
      {
        var value = entry.trimmed(from: equals + 1, to: end)
        if value.count >= 2, entry.byte(Int(value.start)) == UInt8(ascii: "\""),
          entry.byte(value.end - 1) == UInt8(ascii: "\"")
        {
          value = ByteRange(start: Int(value.start) + 1, count: Int(value.count) - 2)
        }
        guard selection.set(part, entry.bytes(value), isFromURL: false) else { throw .unusual }
      }
      offset = end + 1
    }
  }
}

extension RawSpan {
  /// Whether something is escaped in a query's name or value.
  fileprivate var hasEscape: Bool {
    for offset in 0..<byteCount
    where byte(offset) == UInt8(ascii: "%") || byte(offset) == UInt8(ascii: "+") {
      return true
    }
    return false
  }
}
