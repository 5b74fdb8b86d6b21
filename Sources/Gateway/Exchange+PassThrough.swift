internal import Base
internal import Cache
internal import HTTP
internal import Server
internal import Upstreams

extension Exchange {
  /// The client's Range as it wrote it; nil where it sent none, or one with a condition: only who
  /// knows the Etag may answer that with a part.
  var clientRange: [UInt8]? {
    guard !conditions.range.isEmpty, conditions.ifRange.isEmpty else { return nil }
    return text.withReadable { $0.bytes(conditions.range).array }
  }

  /// Gives a request on as it is, for its own client alone: the answer is not kept and nobody joins it.
  func passThrough() {
    if !paysForMiss() { return }
    begin(passedRequest)
  }

  /// The client's request as it is.
  var passedRequest: FillRequest {
    // A part may fail where the rest is there, and a page about content where the content is.
    let isWhole =
      (conditions.range.isEmpty || method == .head)
      && !reason.isEqual(to: NotStored.generated.name)
    // A part cannot be checked, nor can a head.
    let block = conditions.range.isEmpty && method == .get ? blockAsked : nil
    return FillRequest(
      target: text.withReadable { $0.bytes(target).array }, block: block, method: method,
      host: upstreamHost, strangerTarget: strangerTarget, fields: acceptFields + passedFields,
      absence: absenceSubject(target: contentTarget, countsFailures: isWhole), region: region)
  }

  /// The fields of a request that is given on, of those which may be.
  ///
  /// The client's conditions are among them, since the answer is for it alone.
  private var passedFields: [(name: StaticString, value: [UInt8])] {
    let conditions = conditions
    let places: [(name: StaticString, place: ByteRange)] = [
      ("Range", conditions.range), ("If-Range", conditions.ifRange),
      ("If-Match", conditions.ifMatch), ("If-None-Match", conditions.ifNoneMatch),
    ]
    var fields: [(name: StaticString, value: [UInt8])] = text.withReadable { text in
      places.filter { !$0.place.isEmpty }.map { ($0.name, text.bytes($0.place).array) }
    }
    if onlyIfCached { fields.append(("Cache-Control", Array("only-if-cached".utf8))) }
    if let stream { fields.append(("X-Forwarded-For", clientAddress(stream))) }
    return fields + forwardedFields + traceFields
  }

  /// The client's Accept, which chooses a form or an error's.
  var acceptFields: [(name: StaticString, value: [UInt8])] {
    text.withReadable { text in
      ([accept] + moreAccepts).filter { !$0.isEmpty }.map { ("Accept", text.bytes($0).array) }
    }
  }

  /// What Host says to the upstream; nil for the upstream's own name.
  var upstreamHost: [UInt8]? {
    keepsHost ? text.withReadable { $0.bytes(host).array } : nil
  }

  /// What the upstream is told of the client's own request where the host names the content.
  var forwardedFields: [(name: StaticString, value: [UInt8])] {
    guard let upstreamHost else { return [] }
    let scheme = isSecure ? "https" : "http"
    return [("X-Forwarded-Host", upstreamHost), ("X-Forwarded-Proto", Array(scheme.utf8))]
  }

  /// Asks for what is left of a client's range after a fill that could not go on.
  func askForRest() {
    readerBase = position
    restEtag = etag.withReadable { $0.array }
    mustAgree = false
    let range = "bytes=\(position)-\(end - 1)"
    begin(
      FillRequest(
        target: contentTarget, host: upstreamHost, strangerTarget: strangerTarget,
        fields: [("Range", Array(range.utf8))] + forwardedFields + traceFields, region: region))
    if let reader { reader.fill.aim(reader, at: 0..<(end - position)) }
  }

  /// Whether the answer to `askForRest`, once its head is here, is the part that was asked for, of the
  /// same object, or all of it: nothing else may stand behind what the client already has.
  func restFits(_ reader: ExchangeReader) -> Bool {
    guard let restEtag, let head = reader.fill.head else { return true }
    self.restEtag = nil
    guard head.etag == restEtag else { return false }
    if head.status == 200 && head.totalBytes == total {
      // A server that knows no ranges: what comes before the part is dropped.
      readerBase = 0
      reader.fill.aim(reader, at: position..<end)
      return true
    }
    let place = head.fields.first { $0.name.rawBytes.equalsIgnoringCase("content-range") }
    guard head.status == 206, head.totalBytes == end - position, let place,
      let range = ContentRange.parse(place.value.rawBytes), !range.isUnsatisfied
    else { return false }
    return range.first == position && range.last == end - 1 && range.total == total
  }

  private func begin(_ request: FillRequest) {
    let fill = Fill(
      key: key, canonicalKey: [], owner: worker.port, loop: worker.loop, table: nil,
      budget: worker.gateway.memory)
    let reader = ExchangeReader(fill, on: worker.port, from: 0, to: .max)
    fill.admit(reader)
    reader.exchange = self
    self.reader = reader
    begin(request, fill)
  }

  /// Asks in this client's words, for the answer to a fill that it reads already.
  func begin(_ request: FillRequest, _ fill: Fill) {
    outcome = .bypass
    hasAskedAlone = true
    let driver = FillDriver(worker, fill, request)
    fill.source = driver
    driver.fetchWhole()
    fillChanged()
  }

  /// The head of an answer as the upstream gave it, less what is this connection's.
  func writePassedHead(_ head: AnswerHead, on stream: ClientStream) {
    stream.begin(status: head.status)
    if !head.etag.isEmpty { stream.field(.etag, head.etag.rawBytes) }
    if !head.contentType.isEmpty { stream.field(.contentType, head.contentType.rawBytes) }
    for field in head.fields {
      let name = field.name
      // The upstream was asked in words of its own.
      if !hasAskedAlone && name.rawBytes.equalsIgnoringCase("x-ipfs-path") { continue }
      writePassedField(name.rawBytes, field.value.rawBytes, on: stream)
    }
    // Who was asked in this client's words has told it.
    if !hasAskedAlone {
      writeContentLocation(on: stream)
      writeContentFields(on: stream)
    }
    writeCacheFields(on: stream)
    if head.status == 204 || head.status == 304 {
      stream.endHead(.absent)
    } else {
      stream.endHead(head.totalBytes.map(BodyLength.known) ?? .unknown)
    }
  }

  /// A client that has this answer already need not get it again.
  func answerNotModified(_ head: AnswerHead, on stream: ClientStream) {
    stream.begin(status: 304)
    stream.field(.etag, head.etag.rawBytes)
    for field in head.fields
    where field.name.rawBytes.hasPrefixIgnoringCase("cache-control")
      || field.name.rawBytes.hasPrefixIgnoringCase("access-control-")
      || field.name.rawBytes.equalsIgnoringCase("x-ipfs-roots")
    {
      writePassedField(field.name.rawBytes, field.value.rawBytes, on: stream)
    }
    writeContentFields(on: stream)
    writeCacheFields(on: stream)
    stream.endHead(.absent)
    finish()
  }
}
