internal import Base
internal import Cache
internal import HTTP
internal import IPFS
internal import Synchronization

/// What a site says, by its `_redirects`, of a path that it does not have: a redirect, or a page of its own
/// with 404, 410 or 451 (specs.ipfs.tech, web redirects file).
final class SiteAnswer: Sendable {
  let head: AnswerHead
  let body: [UInt8]

  init(head: AnswerHead, body: [UInt8]) {
    self.head = head
    self.body = body
  }

  /// Longer ones are passed through each time.
  static let maximumBytes = 64 << 10

  /// Whether a status is one that a rule may have.
  static func isPossible(_ status: Int) -> Bool { isRedirect(status) || isPage(status) }

  /// Whether it leads elsewhere: gateways add the client's query to where.
  var isRedirect: Bool { Self.isRedirect(head.status) }

  private static func isRedirect(_ status: Int) -> Bool {
    (301...303).contains(status) || status == 307 || status == 308
  }

  private static func isPage(_ status: Int) -> Bool {
    status == 404 || status == 410 || status == 451
  }

  /// Whether an answer can be one by its head: a redirect that leads somewhere, or a page of a file.
  ///
  /// The Etag names the file; a gateway's own errors have none.
  static func isOne(_ head: ResponseHead, text: RawSpan) -> Bool {
    guard head.count(.setCookie) == 0, head.count(.contentEncoding) == 0, !head.isChunked,
      let length = head.contentLength, length <= Int64(maximumBytes)
    else { return false }
    if isRedirect(head.status) { return head.count(.location) == 1 }
    return isPage(head.status) && page(head, text) != nil
  }

  /// The file that a page is, by its Etag.
  static func page(_ head: ResponseHead, _ text: RawSpan) -> CID? {
    guard head.count(.etag) == 1, let place = head.value(.etag) else { return nil }
    let etag = text.bytes(place)
    guard etag.byteCount > 2, etag.byte(0) == UInt8(ascii: "\""),
      etag.byte(etag.byteCount - 1) == UInt8(ascii: "\"")
    else { return nil }
    return try? CID.parse(etag.extracting(1..<etag.byteCount - 1))
  }
}

/// What sites have said of paths that are proven not to exist, for all workers, by canonical key.
///
/// In memory alone, and not looked into on the way of a hit. The path's absence is a fact, what the site says
/// of it rests on an upstream's word: so it is asked for again after the time that the operator gives
/// what does not exist.
final class SiteAnswerTable: Sendable {
  /// In two generations of half of it: when the younger one is full, the older one goes.
  static let maximumBytes = 32 << 20
  /// So long nobody else is asked for a proof, whatever came of the first one.
  static let pause = Interval.seconds(60)

  private struct Entry {
    /// Nil while it is being found out, or when it could not be.
    var answer: SiteAnswer?
    var ends: Instant
  }

  private struct State {
    var young: [[UInt8]: Entry] = [:]
    var old: [[UInt8]: Entry] = [:]
    var youngBytes = 0

    func find(_ key: [UInt8], at now: Instant) -> Entry? {
      guard let entry = young[key] ?? old[key], now < entry.ends else { return nil }
      return entry
    }

    /// Sets an entry; gives what has to go for it.
    mutating func set(_ key: [UInt8], _ entry: Entry) -> [[UInt8]: Entry] {
      old[key] = nil
      // A replaced entry's bytes stay counted: the bound holds all the same.
      let bytes = 256 + key.count + (entry.answer.map { $0.body.count + 1024 } ?? 0)
      var dropped: [[UInt8]: Entry] = [:]
      if youngBytes + bytes > SiteAnswerTable.maximumBytes / 2 {
        swap(&dropped, &old)
        swap(&old, &young)
        youngBytes = 0
      }
      youngBytes += bytes
      young[key] = entry
      return dropped
    }
  }

  private let state = Mutex(State())

  /// What the site says of a key's path; nil where that is not known.
  func answer(for key: [UInt8], at now: Instant) -> SiteAnswer? {
    state.withLock { $0.find(key, at: now) }?.answer
  }

  /// Whether the caller is to find out: once in a while.
  func begin(_ key: [UInt8], at now: Instant) -> Bool {
    guard !key.isEmpty, key.count <= AbsenceTable.longestKey else { return false }
    let dropped = state.withLock { state in
      state.find(key, at: now) == nil
        ? state.set(key, Entry(answer: nil, ends: now + Self.pause)) : nil
    }
    // What goes is freed here, out of the lock.
    return dropped != nil
  }

  /// Notes what the site says, unless the key has been forgotten since `begin`: it may have been removed.
  func set(_ key: [UInt8], _ answer: SiteAnswer, until end: Instant) {
    let dropped = state.withLock { state in
      let isAwaited = (state.young[key] ?? state.old[key]).map { $0.answer == nil } ?? false
      return isAwaited ? state.set(key, Entry(answer: answer, ends: end)) : [:]
    }
    _ = consume dropped
  }

  /// Forgets what is being removed.
  func forget(_ subject: RemovalSubject) {
    state.withLock { state in
      state.young = state.young.filter { !Self.isOf(subject, $0.key, $0.value) }
      state.old = state.old.filter { !Self.isOf(subject, $0.key, $0.value) }
    }
  }

  /// Whether an entry is of what is being removed: by its key, or by what its page is.
  ///
  /// What is still being found out may be.
  private static func isOf(_ subject: RemovalSubject, _ key: [UInt8], _ entry: Entry) -> Bool {
    guard let head = entry.answer?.head else {
      return subject.looksAtHeads || subject.matches(key.rawBytes)
    }
    return subject.part(ofKey: key.rawBytes, etag: head.etag.rawBytes, fields: head.fields) != nil
  }
}
