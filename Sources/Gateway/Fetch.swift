internal import Base
internal import Cache
internal import HTTP
internal import Upstreams

/// One request to an upstream on behalf of a fill: all of it, its head, or a run of slices.
final class Fetch: UpstreamConsumer {
  enum Kind { case whole, head, run }

  let number: Int
  private let driver: FillDriver
  private let kind: Kind
  /// What it was to bring when it began.
  let slices: Range<Int>
  private var call: UpstreamCall?
  /// The next byte of the object that this fetch brings.
  private var position: Int64
  /// The first byte that it does not bring; known with the head.
  private var end = Int64.max
  private var current: (index: Int, buffer: SliceBuffer)?
  private var stopsAfterSlice = false
  private var isOver = false

  init(_ driver: FillDriver, number: Int, _ kind: Kind, slices: Range<Int>) {
    self.driver = driver
    self.number = number
    self.kind = kind
    self.slices = slices
    position = Int64(slices.lowerBound) << Int64(driver.sliceShift)
  }

  func start() {
    let request = driver.request
    var asked = UpstreamRequest(
      method: kind == .head ? .head : request.method, target: request.target, host: request.host,
      fields: request.fields)
    if kind == .run, let total = driver.head?.totalBytes {
      let size = Int64(1) << Int64(driver.sliceShift)
      end = min(Int64(slices.upperBound) * size, total)
      asked.firstByte = position
      asked.lastByte = end - 1
    }
    let call = UpstreamCall(driver.worker.pool, asked, self)
    self.call = call
    call.start()
  }

  /// Whether it brings a part for some readers, and not the whole for all.
  var isRun: Bool { kind == .run }

  func roomMade() { call?.resume() }

  /// Nobody waits: finishes what is nearly done, else the slice under way, else stops at once.
  func abandoned() {
    guard !isOver else { return }
    guard driver.isKept else {
      stop(nil)
      return
    }
    let missing = min(end, driver.head?.totalBytes ?? .max) - position
    if missing <= GatewayOptions.worthFinishing {
      call?.resume()
    } else if current == nil || driver.isInOrder {
      stop(nil)
    } else {
      stopsAfterSlice = true
      call?.resume()
    }
  }

  // MARK: The answer

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    switch kind {
    case .head: driver.learned(head, text: text, by: server)
    case .whole:
      driver.opened(head, text: text, by: server)
      if driver.isKept, let total = driver.head?.totalBytes { end = total }
    case .run:
      if !fits(head, text: text) { stop(Fault(.malformed, .upstream)) }
    }
  }

  /// Whether a part is the one asked for, of the same object (digest A5: nothing else is spliced).
  private func fits(_ head: ResponseHead, text: RawSpan) -> Bool {
    guard let known = driver.head, let total = known.totalBytes,
      let etag = head.value(.etag), text.bytes(etag).equals(known.etag.rawBytes),
      head.value(.contentEncoding) == nil, !head.isChunked
    else { return false }
    if head.status == 200 { return position == 0 && end == total && head.contentLength == total }
    guard head.status == 206, let place = head.value(.contentRange),
      let range = ContentRange.parse(text.bytes(place)), !range.isUnsatisfied
    else { return false }
    return range.first == position && range.last == end - 1 && range.total == total
      && head.contentLength == end - position
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    if isOver || kind == .head { return false }
    guard let (index, buffer) = currentSlice() else { return false }
    let before = buffer.count
    let count = unsafe buffer.fill(read)
    position += Int64(count)
    if count > 0 { driver.landed(buffer, from: before, count: count) }
    if buffer.free == 0 { complete(index, buffer) }
    return !isOver
  }

  /// The buffer that the next bytes belong in; nil where there is no room, or no need.
  private func currentSlice() -> (index: Int, buffer: SliceBuffer)? {
    if let current { return current }
    let index = Int(position >> Int64(driver.sliceShift))
    if position >= end || driver.isKept && driver.fill.isTaken(slice: index, besides: number) {
      // The rest has come another way.
      stop(nil)
      return nil
    }
    guard driver.hasRoom, let buffer = driver.fill.buffer(slice: index) else { return nil }
    current = (index, buffer)
    driver.fill.setFetch(
      number, index..<max(slices.upperBound, index + 1), inOrder: driver.isInOrder)
    return current
  }

  private func complete(_ index: Int, _ buffer: SliceBuffer) {
    current = nil
    driver.completed(slice: index, buffer)
    if stopsAfterSlice && position < end {
      if driver.isAbandoned { stop(nil) } else { stopsAfterSlice = false }
    }
  }

  override func finished(lengthKnown: Bool) {
    guard !isOver else { return }
    switch kind {
    case .head: over(nil)
    case .run: over(position == end ? nil : Fault(.closed, .upstream))
    case .whole:
      guard driver.isKept else {
        if driver.request.method != .head { driver.fill.ended(at: position) }
        over(nil)
        return
      }
      if position != end {
        over(Fault(.closed, .upstream))
      } else {
        over(nil, whole: true)
      }
    }
  }

  override func failed(_ fault: Fault) {
    guard !isOver else { return }
    over(fault)
  }

  private func stop(_ fault: Fault?) {
    guard !isOver else { return }
    call?.cancel()
    over(fault)
  }

  private func over(_ fault: Fault?, whole: Bool = false) {
    isOver = true
    call = nil
    if let current, driver.isKept {
      // Nobody would fill it up: whoever wants the slice has it fetched again.
      driver.fill.discard(slice: current.index)
    }
    if whole && driver.completedWhole() { driver.fill.setWhole() }
    driver.ended(self, fault)
  }
}
