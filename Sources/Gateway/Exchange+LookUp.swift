internal import Admission
internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Router
internal import Logging
internal import Server
internal import Telemetry

extension Exchange {
  private enum Found {
    /// No record, or one that does not help: a miss.
    case nothing
    /// The answer had no body to send, or its head is written and the body is due.
    case answered, head
    /// There is a record, but not the slices that are needed first.
    case incomplete
    /// There is a record, and the client wants a page about it.
    case view
    /// The record shows that the path leads through what is denied.
    case denied(DenyFinding)
  }

  /// Looks into the index, and answers from there as far as it goes.
  func lookUp() {
    switch find() {
    case .answered: finish()
    case .head: deliver()
    case .view: askForView()
    case .denied(let finding): refuse(finding)
    case .incomplete, .nothing:
      if !answerAbsence() { fetchIfAllowed() }
    }
  }

  private func fetchIfAllowed() {
    if onlyIfCached && wholeHead == nil {
      refuse(status: 412, "this content is not in the cache, and only the cache may answer")
    } else {
      fetch()
    }
  }

  private func find() -> Found {
    guard let stream, !worker.gateway.doubtful.contains(key) else { return .nothing }
    do throws(Fault) {
      let found = try worker.index.lookUp(key) { bytes -> Found in
        guard let record = RecordView(bytes),
          canonicalKey.withReadable({ bytes.bytes(record.key).equals($0) })
        else { return .nothing }
        return answer(record, bytes, on: stream)
      }
      return found ?? .nothing
    } catch {
      // Storage tells the log, and opens the index again.
      worker.counters.add(.indexFault)
      return .nothing
    }
  }

  /// Writes the head of a hit, if its first bytes are here.
  private func answer(_ record: RecordView, _ bytes: RawSpan, on stream: ClientStream) -> Found {
    if worker.denials != nil, !isCleared, let finding = denial(of: record, bytes) {
      return .denied(finding)
    }
    let total = Int64(record.totalBytes)
    let etag = bytes.bytes(record.etag)
    if acceptsHTML, hasView(etag: etag) { return .view }
    let wish = wish(etag: etag, total: total)
    let part: Range<Int64> =
      switch wish {
      case .part(let part): part
      case .whole: 0..<total
      default: 0..<0
      }
    if onlyIfCached {
      guard isHere(part, record, bytes) else { return .incomplete }
      if method == .head {
        outcome = .hit
        answerThatItIsHere(on: stream)
        return .answered
      }
    }
    let hasBody = method == .get && !part.isEmpty
    sliceShift = record.sliceShift
    if hasBody {
      let first = Int(part.lowerBound >> Int64(record.sliceShift))
      guard let slice = worker.locate(slice: first, of: key, record, bytes) else {
        return .incomplete
      }
      located = (first, slice)
      // What comes in another order the next time cannot be patched.
      if let asked, !asked.form.hasRanges, !isWhole(record, bytes) { return .incomplete }
    } else if method == .head, !record.isLarge, !isWhole(record, bytes) {
      // Until all of it has come its length rests on one upstream's word.
      return .incomplete
    }
    outcome = .hit
    let head = KeptHead(
      etag: etag, contentType: bytes.bytes(record.contentType), total: total,
      age: max(0, worker.loop.wallSeconds - record.created))
    writeKeptHead(head, wish, on: stream) { stream in
      record.forEachField(in: bytes) { name, value in
        writeKeptField(bytes.bytes(name), bytes.bytes(value), on: stream)
      }
    }
    guard hasBody else { return .answered }
    begin(part, of: total, etag: etag)
    return .head
  }

  /// A HEAD that only the cache may answer asks whether it could; gateways say no more than that.
  func answerThatItIsHere(on stream: ClientStream) {
    stream.begin(status: 200)
    writeCrossOriginFields(on: stream)
    writeCacheFields(on: stream)
    stream.endHead(.known(0))
  }

  /// Whether all slices of a part are here.
  private func isHere(_ part: Range<Int64>, _ record: RecordView, _ bytes: RawSpan) -> Bool {
    if part.isEmpty { return true }
    let shift = Int64(record.sliceShift)
    let slices = Int(part.lowerBound >> shift)...Int((part.upperBound - 1) >> shift)
    return worker.hasSlices(slices, of: key, record, bytes)
  }

  private func isWhole(_ record: RecordView, _ bytes: RawSpan) -> Bool {
    (0..<record.sliceCount).allSatisfy {
      worker.locate(slice: $0, of: key, record, bytes) != nil
    }
  }

  /// Notes what is to be sent, and of what.
  func begin(_ part: Range<Int64>, of total: Int64, etag: RawSpan) {
    position = part.lowerBound
    end = part.upperBound
    self.total = total
    self.etag.clear()
    self.etag.append(etag)
  }

  /// What the client's conditions and range mean for a representation with this Etag as it is kept.
  func wish(etag: RawSpan, total: Int64) -> Wish {
    if conditions.isEmpty { return .whole }
    // An empty file gateways give whole, whatever part or Etag was asked for.
    let isNothing = total == 0 && asked?.hasTypeOfName ?? true
    let ranges = !isNothing && asked?.form.hasRanges ?? true
    return withSpelledEtag(etag) { etag in
      text.withReadable {
        conditions.wish(etag: etag, total: total, ranges: ranges, in: $0)
      }
    }
  }
}
