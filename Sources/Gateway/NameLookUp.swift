internal import Base
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Upstreams

/// The look-ups of names under way on one worker: one for each name, however many wait for it.
struct NameLookUps {
  private var underWay: [[UInt8]: NameLookUp] = [:]

  /// Begins a look-up, or joins the one under way; `exchange`, where there is one, goes on when it ends.
  mutating func ask(
    _ worker: GatewayWorker, _ name: [UInt8], key: CID?, _ question: NameQuestion,
    _ request: UpstreamRequest, for exchange: Exchange?
  ) {
    if let present = underWay[name] {
      if let exchange { present.wait(exchange) }
      return
    }
    let lookUp = NameLookUp(worker, name, key: key, question, request)
    if let exchange { lookUp.wait(exchange) }
    underWay[name] = lookUp
    lookUp.start()
  }

  mutating func end(_ name: [UInt8]) { underWay[name] = nil }
}

/// What a look-up asks for, as the answer must repeat it.
struct NameQuestion {
  /// `/ipns/<name>`.
  var path: [UInt8]
  /// The segments of the client's path below it.
  var segments: Int

  /// The block that the name itself leads to: what its site says of a path plays no part there.
  var rootTarget: [UInt8] {
    var target = ByteBuffer(capacity: 128)
    PercentCoding.append(path: path.rawBytes, to: &target)
    target.append("?format=raw" as StaticString)
    return target.readable.array
  }
}

/// Asks an upstream what a name leads to: a HEAD of the client's own path, whose answer tells the root in
/// X-Ipfs-Roots and the time it counts in Cache-Control (gateway digest A2).
///
/// The answers to paths that do not exist tell neither, nor do redirects: then the root's own block is asked for.
final class NameLookUp: UpstreamConsumer, Search {
  private let worker: GatewayWorker
  private let name: [UInt8]
  private var request: UpstreamRequest
  private var question: NameQuestion
  private var hasAskedForRoot = false
  /// The key that the name is, if it is one.
  private let key: CID?
  /// Exchanges that wait, each with the life that does.
  private var waiting: [(exchange: Exchange, life: UInt64)] = []
  private var call: UpstreamCall?
  /// The ticket of the search, until there is an answer.
  private var search: Int?
  private var answer: NameAnswer?
  /// Why nobody has answered.
  private var fault: Fault?

  init(
    _ worker: GatewayWorker, _ name: [UInt8], key: CID?, _ question: NameQuestion,
    _ request: UpstreamRequest
  ) {
    self.key = key
    self.question = question
    self.worker = worker
    self.name = name
    self.request = request
  }

  func wait(_ exchange: Exchange) { waiting.append((exchange, exchange.life)) }

  func start() {
    let hasFailed = worker.gateway.absences.hasFailed(
      NameTable.absenceKey(name), at: worker.loop.now)
    search = worker.searches.begin(self, isDoubtful: hasFailed)
    let call = UpstreamCall(worker.pool, request, self)
    self.call = call
    call.start()
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    answer = NameAnswer(head, text, name: question.path, segments: question.segments)
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool { false }

  override func finished(lengthKnown: Bool) { over() }

  override func failed(_ fault: Fault) {
    self.fault = fault
    over()
  }

  func giveUpSearch() {
    search = nil
    call?.cancel()
    failed(Fault(.exhausted, .upstream))
  }

  private func over() {
    call = nil
    if let search = search.take() { worker.searches.end(search) }
    note()
    if answer == .elsewhere, question.segments > 0, !hasAskedForRoot {
      hasAskedForRoot = true
      question.segments = 0
      var again = UpstreamRequest(method: .head, target: question.rootTarget)
      again.region = request.region
      again.fields = request.fields.filter { UpstreamRequest.isTrace($0.name) }
      request = again
      start()
      return
    }
    worker.nameLookUps.end(name)
    var leads = false
    switch answer {
    case .leads(let root, let ttl):
      leads = true
      let now = worker.loop.now
      let stale = worker.gateway.options.staleNames
      // Of a key it is not known yet how long its record lives.
      worker.gateway.names.set(
        name,
        NameEntry(root: root, resolved: now, ttl: ttl, grace: key == nil ? stale : .zero))
      if let key, stale > .zero {
        NameRecordFetch(worker, name, key: key, resolved: now, region: request.region).start()
      }
    // What is known stays for its time: another path below the name may be answered otherwise.
    case .elsewhere, .noAnswer, nil: break
    }
    // A root that nobody gave does not undo what was said of the path.
    let isElsewhere = answer == .elsewhere || hasAskedForRoot && !leads
    let waiting = waiting
    self.waiting = []
    for (exchange, life) in waiting where exchange.life == life {
      exchange.nameLookedUp(isElsewhere: isElsewhere, fault: fault)
    }
  }

  /// Remembers that the name was looked for in vain, so that it is not again at once.
  private func note() {
    let key = NameTable.absenceKey(name)
    let absences = worker.gateway.absences
    if let fault {
      // Where its path had an answer the name is well enough.
      if fault == Fault(.timeout, .upstream), !hasAskedForRoot {
        _ = absences.fail(key, 504, at: worker.loop.now, mayProve: false)
      }
    } else {
      absences.forget(key)
    }
  }
}

/// What the head of an answer says of the name that was asked for.
enum NameAnswer: Equatable {
  /// It leads to this root, for so long.
  case leads(CID, Interval)
  /// There is an answer, but none that says it.
  case elsewhere
  /// Nobody could answer: what was known stays.
  case noAnswer

  /// Reads the answer to a HEAD of a path below a name.
  ///
  /// - Parameters:
  ///   - path: the decoded path, `/ipns/<name>/…`: only an answer for just that name tells of it.
  ///   - segments: how many there are below the name. The roots are one more; where a name leads below a
  ///     root, they are more than that, and then its content is not all that is below that root.
  init(_ head: ResponseHead, _ text: RawSpan, name: [UInt8], segments: Int) {
    guard head.status < 500, head.status != 429 else {
      self = .noAnswer
      return
    }
    guard head.status == 200, head.count(.setCookie) == 0, let place = head.value(.xIpfsRoots),
      Self.count(of: text.bytes(place)) == segments + 1, Self.isOf(name, head, text),
      let root = Self.first(of: text.bytes(place)), let ttl = Self.ttl(head, text)
    else {
      self = .elsewhere
      return
    }
    self = .leads(root, ttl)
  }

  private static func first(of roots: RawSpan) -> CID? {
    let comma = roots.first(UInt8(ascii: ","), from: 0, to: roots.byteCount)
    return try? CID.parse(roots.bytes(roots.trimmed(from: 0, to: comma)))
  }

  private static func count(of roots: RawSpan) -> Int {
    (0..<roots.byteCount).reduce(1) { $0 + (roots.byte($1) == UInt8(ascii: ",") ? 1 : 0) }
  }

  /// Whether the gateway took the request for one of this name, `/ipns/<name>`: by a host that it does not
  /// know it may have found another.
  private static func isOf(_ name: [UInt8], _ head: ResponseHead, _ text: RawSpan) -> Bool {
    guard let place = head.value(.xIpfsPath) else { return false }
    let path = text.bytes(place)
    guard path.byteCount >= name.count else { return false }
    for offset in name.indices
    where path.byte(offset).asciiLowercased != name[offset].asciiLowercased {
      return false
    }
    return path.byteCount == name.count || path.byte(name.count) == UInt8(ascii: "/")
  }

  /// What is left of the lifetime that the answer gives, a second at least; nil where it is not to be kept at all.
  ///
  /// Another cache may have had it for some time (RFC 9111, section 4.2.3).
  private static func ttl(_ head: ResponseHead, _ text: RawSpan) -> Interval? {
    var control = CacheControl()
    for field in head.fields where field.token == .cacheControl {
      control.merge(text.bytes(field.value))
    }
    guard !control.noStore, !control.noCache, !control.isPrivate, let seconds = control.maxAge,
      seconds > 0
    else { return nil }
    let age = head.value(.age).flatMap { text.bytes($0).decimalClamped } ?? 0
    let left = max(1, min(seconds, 1 << 30) - age)
    return min(.seconds(Int(clamping: left)), NameTable.longestTTL)
  }
}
