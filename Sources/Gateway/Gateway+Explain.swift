internal import Admission
public import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import HTTP1
public import IPFS
internal import Router

extension Gateway {
  /// Finds out what is known of a request's content; changes nothing, and asks no server.
  ///
  /// - Parameter done: Called on a thread that reads the disk.
  /// - Returns: false where the disk's threads take nothing now; then `done` is not called.
  public func explain(
    _ question: ContentQuestion, at now: Instant,
    _ done: @escaping @Sendable (Explanation) -> Void
  ) -> Bool {
    disk.submit { [self] in
      var explainer = Explainer(self, now)
      done(explainer.explain(question))
    }
  }
}

extension Gateway {
  /// Where a host's own content is: a DNSLink site's name and what it leads to, or the root of a subdomain.
  ///
  /// Both nil for hosts that name no content.
  public func locate(host: String, at now: Instant) -> (name: String?, root: CID?) {
    var explainer = Explainer(self, now)
    explainer.looksInIndex = false
    let found = explainer.explain(ContentQuestion(target: "/", host: host))
    return (found.name?.text, found.content?.root)
  }
}

/// One question's way through the router and the index.
private struct Explainer: ~Copyable {
  private let gateway: Gateway
  private let now: Instant
  var looksInIndex = true
  private var hasFollowed = false
  private var path = ByteBuffer(capacity: 256)
  private var key = ByteBuffer(capacity: 256)

  init(_ gateway: Gateway, _ now: Instant) {
    self.gateway = gateway
    self.now = now
  }

  mutating func explain(_ question: ContentQuestion) -> Explanation {
    var text = ByteBuffer(capacity: 512)
    text.append("GET ")
    text.append(question.target)
    text.append(" HTTP/1.1\r\nHost: ")
    text.append(Self.isAbsolute(question.target) ? Self.host(of: question.target) : question.host)
    if !question.accept.isEmpty {
      text.append("\r\nAccept: ")
      text.append(question.accept)
    }
    text.append("\r\n\r\n")
    var parser = RequestParser()
    var head = RequestHead()
    switch parser.parse(text.readable, into: &head) {
    // What follows the head would be another request: somebody put a line's end into the question.
    case .complete(let count) where count == text.count: break
    case .refused(let refusal):
      return Explanation(
        route: .refused(status: refusal.status, sentence: "\(refusal.sentence)"), host: "unknown")
    case .complete, .needMore:
      return Explanation(
        route: .refused(status: 400, sentence: "this is no request"), host: "unknown")
    }
    let bytes = text.readable
    let book = HostBook(gateway.options.hosts)
    let site = AskedSite(
      hosts: book, host: head.authority, isSecure: question.target.hasPrefix("https:"))
    let host = gateway.options.hosts.classify(host: bytes.bytes(head.authority)).name
    let outcome = Router.route(head, text: bytes, site: site, path: &path, key: &key)
    let denial = denial { list in
      path.isEmpty
        ? list.denial(ofTarget: bytes.bytes(head.target), host: bytes.bytes(head.authority))
        : list.denial(ofPath: path.readable)
    }
    var explanation = explain(outcome, bytes, host, question)
    explanation.denial = denial ?? explanation.denial
    return explanation
  }

  private mutating func explain(
    _ outcome: Route, _ bytes: RawSpan, _ host: String, _ question: ContentQuestion
  ) -> Explanation {
    switch outcome {
    case .content(let request):
      guard let root = try? CID.parse(path.readable.bytes(request.root)) else { break }
      var explanation = Explanation(route: request.isIdentity ? .inline : .content, host: host)
      add(request, root, bytes, key.readable.array, to: &explanation)
      return explanation
    case .named(let request):
      var explanation = Explanation(route: .name, host: host)
      add(named: request, bytes, to: &explanation)
      return explanation
    case .passThrough: return Explanation(route: .passThrough, host: host)
    case .redirect(let location):
      let place = String(decoding: location, as: UTF8.self)
      if hasFollowed { return Explanation(route: .redirect(location: place), host: host) }
      // What the client does next is what the question is about.
      var next = Explainer(gateway, now)
      next.hasFollowed = true
      var explanation = next.explain(
        ContentQuestion(target: place, host: "", accept: question.accept))
      explanation.redirect = place
      return explanation
    case .health, .options: return Explanation(route: .own, host: host)
    case .refuse(let status, let reason):
      return Explanation(route: .refused(status: status, sentence: reason.sentence), host: host)
    }
    return Explanation(route: .passThrough, host: host)
  }

  /// What the denylist says, with the words of its rule; nil where it says nothing.
  private func denial(_ find: (Denylist) -> DenyFinding?) -> Explanation.Denial? {
    // Who looks for a place alone asks on a thread that must not wait for a file.
    guard looksInIndex, let denials = gateway.options.denials, let finding = find(denials.list)
    else { return nil }
    return Explanation.Denial(
      status: finding.mark.status, rule: denials.text(of: finding),
      place: denials.place(of: finding))
  }

  private static func isAbsolute(_ target: String) -> Bool { !target.hasPrefix("/") }

  /// The authority of an absolute target, which Host has to repeat.
  private static func host(of target: String) -> String {
    let rest = target.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    guard rest.count > 2 else { return "" }
    return String(rest[2].prefix { $0 != "/" && $0 != "?" && $0 != "#" })
  }

  // MARK: What is asked for

  private func add(
    named request: ContentRequest, _ text: RawSpan, to explanation: inout Explanation
  ) {
    let root = path.readable.bytes(request.root)
    let name = NameTable.canonical(root)
    var known = Explanation.Name(text: root.text)
    var entry: NameEntry?
    switch gateway.names.find(name, now: now) {
    case .unknown: break
    case .fresh(let found): (known.state, entry) = (.fresh, found)
    case .due(let found): (known.state, entry) = (.due, found)
    case .past(let found): (known.state, entry) = (.past, found)
    }
    if let entry {
      known.root = entry.root
      known.age = entry.age(at: now)
      known.ttl = entry.ttl.nanoseconds / 1_000_000_000
    }
    explanation.name = known
    if let entry {
      var key = ByteBuffer(capacity: 128)
      CanonicalKey.append(
        request, text: text, root: entry.root, remainder: path.readable.bytes(request.remainder),
        to: &key)
      add(request, entry.root, text, key.readable.array, under: name, to: &explanation)
    } else {
      explanation.absence = absence(of: NameTable.absenceKey(name))
    }
  }

  private func add(
    _ request: ContentRequest, _ root: CID, _ text: RawSpan, _ asked: [UInt8],
    under name: [UInt8]? = nil, to explanation: inout Explanation
  ) {
    var absenceKey = asked
    if let name, request.mode != .path { absenceKey = AbsenceTable.key(asked, under: name) }
    let hash = gateway.storage.hash(asked.rawBytes)
    explanation.content = Explanation.Content(
      root: root, path: path.readable.bytes(request.remainder).array, form: request.form.label,
      origin: request.mode.label, hash: hash)
    explanation.absence = absence(of: absenceKey)
    explanation.siteStatus = gateway.siteAnswers.answer(for: absenceKey, at: now)?.head.status
    explanation.isBeingFetched = gateway.fills.find(hash, canonicalKey: asked) != nil
    let remainder = path.readable.bytes(request.remainder)
    explanation.denial = denial { $0.denial(of: root, path: remainder) }
    if request.isIdentity || !looksInIndex { return }
    do throws(Fault) {
      let reader = try gateway.storage.reader()
      for candidate in candidates(request, root, text, asked) {
        if let record = try record(candidate, reader) {
          var kept = try kept(candidate, record, reader)
          kept.isAsked = candidate.key == asked
          explanation.kept.append(kept)
          if explanation.denial == nil {
            explanation.denial = denial { Self.denial(of: record, root, remainder, by: $0) }
          }
        }
        reader.endTurn()
      }
    } catch {
      explanation.fault = error
    }
  }

  /// By what a kept object's path leads through.
  private static func denial(
    of record: Record, _ root: CID, _ path: RawSpan, by list: Denylist
  ) -> DenyFinding? {
    for field in record.fields where field.name.rawBytes.equalsIgnoringCase("x-ipfs-roots") {
      if let finding = list.denial(ofRoots: field.value.rawBytes, path: path) { return finding }
    }
    return list.denial(ofEtag: record.etag.rawBytes, root: root)
  }

  private func absence(of key: [UInt8]) -> Explanation.Absence? {
    switch gateway.absences.standing(of: key, at: now) {
    case .open: nil
    case .absent: .absent
    case .failing(let status, let wait): .failing(status: status, wait: wait)
    }
  }

  // MARK: What is here

  private struct Candidate {
    var key: [UInt8]
    var form: ContentForm
    var mode: OriginMode
    var variant: String
  }

  /// The keys of all forms that can be told without reading the whole index: some 240 look-ups.
  private func candidates(
    _ request: ContentRequest, _ root: CID, _ text: RawSpan, _ asked: [UInt8]
  ) -> [Candidate] {
    var found: [Candidate] = []
    var seen: Set<[UInt8]> = []
    func add(_ request: ContentRequest, _ root: CID) {
      var key = ByteBuffer(capacity: 128)
      CanonicalKey.append(
        request, text: text, root: root, remainder: path.readable.bytes(request.remainder), to: &key
      )
      let bytes = key.readable.array
      guard seen.insert(bytes).inserted else { return }
      var query: [UInt8] = []
      if request.form == .car {
        request.selection.appendQuery(to: &query)
      } else {
        query = request.foreignExtension(in: text)
      }
      let variant = String(decoding: query.drop { $0 == UInt8(ascii: "&") }, as: UTF8.self)
      found.append(
        Candidate(key: bytes, form: request.form, mode: request.mode, variant: variant))
    }
    add(request, root)
    // A CAR's key has the version that its root was asked for by.
    let roots = [root.version1, root.version0].compactMap { $0 }
    for mode in [OriginMode.path, .subdomain, .dnslink] {
      for form in ContentForm.allCases where form.mayBeKept {
        var other = request
        (other.mode, other.form) = (mode, form)
        other.hasForeignExtension = false
        if form != .car {
          add(other, root)
          continue
        }
        for root in roots {
          for selection in CARSelection.all {
            other.selection = selection
            add(other, root)
          }
        }
      }
    }
    return found
  }

  private func record(
    _ candidate: Candidate, _ reader: IndexReader
  ) throws(Fault) -> Record? {
    let hash = gateway.storage.hash(candidate.key.rawBytes)
    let found = try reader.lookUp(hash) { bytes -> Record? in
      guard let record = Record(bytes), record.key == candidate.key else { return nil }
      return record
    }
    return found ?? nil
  }

  private func kept(
    _ candidate: Candidate, _ record: Record, _ reader: IndexReader
  ) throws(Fault) -> Explanation.Kept {
    let hash = gateway.storage.hash(candidate.key.rawBytes)
    var kept = Explanation.Kept(
      form: candidate.form.label, origin: candidate.mode.label, variant: candidate.variant,
      isAsked: false, bytes: Int64(record.totalBytes), created: record.created,
      etag: String(decoding: record.etag, as: UTF8.self),
      contentType: String(decoding: record.contentType, as: UTF8.self),
      server: String(decoding: record.server, as: UTF8.self), isVerified: record.isVerified,
      sliceBytes: 1 << Int(record.sliceShift), slices: record.sliceCount, present: 0, hit: 0,
      isCutShort: record.sliceCount > Self.countedSlices)
    var pin: SegmentPin?
    defer { if let pin { gateway.storage.unpin(pin) } }
    let count = min(record.sliceCount, Self.countedSlices)
    for block in 0..<(count + SliceBlock.slices - 1) / SliceBlock.slices {
      let first = block * SliceBlock.slices
      let slices = try slices(
        first..<min(first + SliceBlock.slices, count), of: record, hash, reader)
      for slice in slices where !slice.isAbsent && gateway.storage.isLive(slice.segment) {
        kept.present += 1
        if pin?.segment != slice.segment {
          if let pin { gateway.storage.unpin(pin) }
          pin = nil
          pin = try gateway.storage.pin(slice.segment)
        }
        if pin != nil, gateway.storage.segments.wasHit(slice.segment, at: Int(slice.offset)) {
          kept.hit += 1
        }
      }
      // A read transaction keeps what the writer frees meanwhile from being used again.
      if block % Self.blocksInTurn == Self.blocksInTurn - 1 { reader.endTurn() }
    }
    return kept
  }

  /// Some thousand slices, in far less than a millisecond.
  private static let blocksInTurn = 32

  /// More are not looked at: with 1 MiB each that is a TiB.
  private static let countedSlices = 1 << 20

  /// What is known of slices that are all in one block.
  private func slices(
    _ range: Range<Int>, of record: Record, _ hash: Digest128, _ reader: IndexReader
  ) throws(Fault) -> [Slice] {
    guard record.isLarge else { return Array(record.slices[range]) }
    let (block, start) = range.lowerBound.quotientAndRemainder(dividingBy: SliceBlock.slices)
    let places = start..<start + range.count
    let found = try reader.slices(hash, block: UInt32(truncatingIfNeeded: block)) { bytes in
      places.compactMap { SliceBlock.slice($0, stamp: record.stamp, in: bytes) }
    }
    return found ?? []
  }
}

extension CID {
  /// The same content as `Qm…`; nil where there is no such name.
  fileprivate var version0: CID? {
    guard codec == .dagPB, hash == .sha2_256, digest.byteCount == 32 else { return nil }
    var binary = ByteBuffer(capacity: 64)
    appendMultihash(to: &binary)
    return try? CID.parse(binary: binary.readable).cid
  }
}

extension CARSelection {
  /// Everything that can be asked of a CAR but a range of bytes.
  fileprivate static var all: [CARSelection] {
    var all: [CARSelection] = []
    for scope in (0...3).compactMap(Scope.init(rawValue:)) {
      for order in (0...2).compactMap(Order.init(rawValue:)) {
        for duplicates in (0...2).compactMap(Duplicates.init(rawValue:)) {
          var selection = CARSelection()
          (selection.scope, selection.order) = (scope, order)
          selection.duplicates = duplicates
          all.append(selection)
        }
      }
    }
    return all
  }
}

extension ContentForm {
  /// What people call it; a file has no `format=`.
  fileprivate var label: String { self == .file ? "file" : "\(name)" }
}

extension OriginMode {
  fileprivate var label: String {
    switch self {
    case .path: "path"
    case .subdomain: "subdomain"
    case .dnslink: "dnslink"
    }
  }
}

extension HostKind {
  fileprivate var name: String {
    switch self {
    case .path: "path"
    case .subdomains: "subdomains"
    case .subdomain: "subdomain"
    case .foreignSubdomain: "foreign"
    case .dnslink: "dnslink"
    case .invalidLabel: "invalid"
    case .unknown: "unknown"
    }
  }
}
