internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Router
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
    // An absolute form may have no path (RFC 9112, 3.2.1).
    let sent = text.withReadable { $0.bytes(target).array }
    let whole = sent.first == UInt8(ascii: "/") ? sent : [UInt8(ascii: "/")] + sent
    return FillRequest(
      target: whole, block: block, method: method,
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

  /// Whether what is not kept is said to another host than this client's.
  ///
  /// The content of a name's own host is what the upstream takes the name for, which whoever owns the name can change.
  var readsForAnotherHost: Bool {
    guard outcome == .collapsed, let reader else { return false }
    return reader.fill.host != upstreamHost ?? []
  }

  /// Asks anew, together with others under this host, after an answer that was for another one.
  func askForThisHost(_ why: StaticString) {
    (server, serverTimes) = ("", (.zero, .zero))
    if answerFailure() { return }
    if beginnings < GatewayOptions.newBeginnings {
      beginnings += 1
      if !answerAbsence() { fetch() }
    } else if isCheckable, method == .get, !conditions.range.isEmpty {
      // Of a part by itself nobody could say whether it is right.
      refuse(Fault(.mismatch, .upstream))
    } else {
      reason = why
      passThrough()
    }
  }

  /// Whether it is a gateway's error in a form that the client who asked first accepts, and this one not.
  ///
  /// A site's own page is for all.
  private func isOthersError(_ head: AnswerHead) -> Bool {
    let type = head.contentType
    return outcome == .collapsed && !keepsHost && Absence.isFailure(head.status)
      && type.rawBytes.hasPrefixIgnoringCase("text/html") != acceptsHTML
  }

  /// Begins an answer that is not kept.
  func passHead(_ head: AnswerHead, _ why: NotStored, on stream: ClientStream) {
    guard let reader else { return }
    // On a host of its own the upstream has found out by itself what the name leads to.
    if why == .foreignAnswer, asked?.mode != .path { forgetName() }
    let isPrivate = outcome == .bypass
    let isOthersWhole = !conditions.range.isEmpty && head.status == 200
    // What a redirect and a page say depends on how this client asked, and what another one accepts may
    // have chosen a page that this one does not want.
    let isOthersPage =
      (300..<400 ~= head.status || why == .generated)
      && (outcome == .collapsed || !asksAsUpstreamDoes)
      // A page of a site stays for good on the content's own host, and not on a name's.
      || outcome == .collapsed && keepsHost && SiteAnswer.isPossible(head.status)
    // A condition may have another answer than what it is a condition on.
    let isConditional =
      head.status != 200 && !(conditions.ifNoneMatch.isEmpty && conditions.ifMatch.isEmpty)
    let lacksFields = head.status == 200 && asked?.needsOwnFields ?? false
    if readsForAnotherHost {
      leaveFill()
      askForThisHost(why.name)
      return
    }
    if isOthersError(head) {
      leaveFill()
      fail(status: head.status)
      return
    }
    if !isPrivate, isOthersWhole, why != .noLength, isCheckable {
      // A part of a block that is not the one asked for cannot be told from a good one.
      fillFailed(Fault(.mismatch, .upstream))
      return
    }
    // A cookie is one client's.
    let isOthersCookie = why == .setCookie && outcome == .collapsed
    if !isPrivate
      && (isOthersWhole || isOthersPage || isOthersCookie || isConditional || lacksFields)
    {
      leaveFill()
      reason = why.name
      passThrough()
      return
    }
    outcome = .bypass
    if reason.utf8CodeUnitCount == 0 { reason = why.name }
    let etag = head.etag
    if !conditions.ifNoneMatch.isEmpty, head.status == 200, !etag.isEmpty,
      case .notModified = wish(etag: etag.rawBytes, total: head.totalBytes ?? 0)
    {
      answerNotModified(head, on: stream)
      return
    }
    writePassedHead(head, on: stream)
    let hasBody = method == .get && head.status != 204 && head.status != 304
    guard hasBody else {
      finish()
      return
    }
    position = 0
    end = head.totalBytes ?? .max
    sliceShift = Fill.passedShift
    reader.fill.aim(reader, at: 0..<end)
    deliver()
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
      if isNameAskedAsRoot && name.rawBytes.equalsIgnoringCase("cache-control") { continue }
      writePassedField(name.rawBytes, field.value.rawBytes, on: stream)
    }
    // Who was asked in this client's words has told it.
    if !hasAskedAlone {
      writeContentLocation(on: stream)
      writeContentFields(on: stream)
    }
    if isNameAskedAsRoot && head.status < 400 { writeLifetime(on: stream) }
    writeCacheFields(on: stream)
    if head.status == 204 || head.status == 304 {
      stream.endHead(.absent)
    } else {
      stream.endHead(head.totalBytes.map(BodyLength.known) ?? .unknown)
    }
  }

  /// Whether a name's content was asked for as that of its root, which an upstream takes for unchanging.
  private var isNameAskedAsRoot: Bool { naming != nil && !hasAskedAlone && !keepsHost }

  /// For how long a name leads where it does (gateway digest A6).
  private func writeLifetime(on stream: ClientStream) {
    guard let naming else { return }
    writeCacheControl(on: stream)
    stream.field(.age, decimal: naming.age(at: worker.loop.now))
  }

  /// A client that has this answer already need not get it again.
  func answerNotModified(_ head: AnswerHead, on stream: ClientStream) {
    stream.begin(status: 304)
    stream.field(.etag, head.etag.rawBytes)
    for field in head.fields
    where field.name.rawBytes.equalsIgnoringCase("cache-control") && !isNameAskedAsRoot
      || field.name.rawBytes.hasPrefixIgnoringCase("access-control-")
      || field.name.rawBytes.equalsIgnoringCase("x-ipfs-roots")
    {
      writePassedField(field.name.rawBytes, field.value.rawBytes, on: stream)
    }
    if isNameAskedAsRoot { writeLifetime(on: stream) }
    writeContentFields(on: stream)
    writeCacheFields(on: stream)
    stream.endHead(.absent)
    finish()
  }
}
