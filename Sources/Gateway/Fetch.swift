internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Logging
internal import Upstreams

/// What a fill asks upstreams for at a time: all of it, its head, or a run of slices.
///
/// One request, and further ones for the rest where a body breaks off.
final class Fetch: UpstreamConsumer, Search {
  enum Kind { case whole, head, run }

  let number: Int
  let driver: FillDriver
  let kind: Kind
  /// What it was to bring when it began.
  let slices: Range<Int>
  var call: UpstreamCall?
  let firstByte: Int64
  /// The next byte of the body that this fetch brings.
  var position: Int64
  /// The first byte that it does not bring; known with the head.
  private(set) var end = Int64.max
  var current: (index: Int, buffer: SliceBuffer)?
  /// Slices that are full, but for whose end more must come to show that it is content; oldest first.
  ///
  /// More than one only where the last slice is shorter than the marker.
  var held: [(index: Int, buffer: SliceBuffer)] = []
  var marker = MarkerWatch()
  private var stopsAfterSlice = false
  /// Whether it began before the object's head was known: then that head decides what it is worth.
  private let isEarly: Bool
  /// The answer to such a fetch, while that head is not known.
  private var early: PartHead?
  private(set) var isOver = false
  /// Who may be asked for the rest after a break.
  var resumption: Resumption
  /// What the answer to a request for the rest must be, until its head has come, and which bytes of the
  /// object it was asked for.
  var awaited: (splice: Splice, place: Range<Int64>)?
  var seam = Seam()
  /// Whether the head of the first answer has come.
  private(set) var hasHead = false
  /// Whether a server has said that the object has another length than the record.
  var isLengthDoubtful = false
  /// Where the last server began to bring bytes.
  var callStart: Int64
  /// When it began.
  private let began: Instant
  /// Whether whatever comes is taken, since nobody gave anything better.
  private var takesAll = false
  /// A run's search, until a server has answered; all others' is the driver's.
  private var search: Int?

  init(_ driver: FillDriver, number: Int, _ kind: Kind, slices: Range<Int>) {
    self.driver = driver
    self.number = number
    self.kind = kind
    self.slices = slices
    firstByte = Int64(slices.lowerBound) << Int64(driver.sliceShift)
    position = firstByte
    callStart = firstByte
    resumption = Resumption(from: firstByte)
    began = driver.worker.loop.now
    isEarly = kind == .run && driver.head == nil
  }

  func start() {
    let request = driver.request
    var asked = UpstreamRequest(
      method: kind == .head ? .head : request.method, target: request.target, host: request.host,
      fields: request.fields)
    asked.strangerTarget = request.strangerTarget
    asked.region = request.region
    asked.avoided = driver.avoided
    if kind == .run {
      setEnd()
      asked.firstByte = position
      asked.lastByte = end - 1
      if !isEarly { search = driver.ticket(for: self) }
    }
    let call = UpstreamCall(driver.worker.pool, asked, self)
    self.call = call
    call.start()
  }

  /// Finds out where a run ends, as far as that is known.
  private func setEnd() {
    let upper = Int64(slices.upperBound) << Int64(driver.sliceShift)
    end = min(upper, driver.head?.totalBytes ?? .max)
  }

  /// The object's head has become known: what an early fetch has, or will get, is worth something if
  /// it is of that object; else it goes without a word, and who waited for it asks anew.
  func headIsKnown() {
    guard isEarly, !isOver else { return }
    setEnd()
    if position >= end {
      stop(nil)
    } else if let early {
      self.early = nil
      if fits(early) { call?.resume() } else { stop(nil) }
    } else {
      search = driver.ticket(for: self)
    }
  }

  /// There will be no head that an early fetch could belong to.
  func headIsLost() {
    if isEarly { stop(nil) }
  }

  func giveUpSearch() {
    search = nil
    stop(Fault(.exhausted, .upstream))
  }

  private func endSearch() {
    if let search = search.take() { driver.worker.searches.end(search) }
  }

  /// Whether a server's answer tells of a search that had its time.
  ///
  /// One that comes sooner is the server's own trouble, and says less of the content.
  func isVain(_ status: Int) -> Bool {
    status == 504
      && driver.worker.loop.now - began >= driver.worker.gateway.options.searchPatience
  }

  /// Whether it brings a part for some readers, and not the whole for all.
  var isRun: Bool { kind == .run }

  func roomMade() { call?.resume() }

  /// There has been no memory for too long.
  func starved() {
    if current == nil { stop(Fault(.exhausted, .own)) }
  }

  /// Nobody waits: finishes what is nearly done, else the slice under way, else stops at once.
  func abandoned() {
    guard !isOver else { return }
    guard driver.isKept, driver.isOfUse else {
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

  /// Those who are left are elsewhere: finishes the slice under way, else stops at once.
  func forsaken() {
    guard !isOver, driver.isKept else { return }
    if current == nil {
      stop(nil)
    } else {
      stopsAfterSlice = true
      call?.resume()
    }
  }

  // MARK: The answer

  override func accepts(_ head: ResponseHead, text: RawSpan) -> Bool {
    // A host of its own leads upstreams to what they know of it now, and runs know what they must be part of.
    guard let content = driver.request.content, driver.request.host == nil, !isRun, !takesAll,
      awaited == nil
    else { return true }
    return !AnswerPolicy.isForeign(head, text: text, content: content)
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    endSearch()
    if awaited != nil {
      resumed(PartHead(head, text: text), by: server)
      return
    }
    hasHead = true
    driver.fill.wasAsked(of: server.name)
    driver.timing = call?.timing ?? UpstreamTiming()
    switch kind {
    case .head: driver.learned(head, text: text, by: server, isVain: isVain(head.status))
    case .whole:
      if head.status == 206, driver.request.content != nil {
        // Nobody asked for a part (RFC 9110, 15.3.7).
        stop(Fault(.malformed, .upstream))
        return
      }
      driver.opened(head, text: text, by: server)
      if driver.isKept || driver.isInOrder, let total = driver.head?.totalBytes { end = total }
    case .run:
      let part = PartHead(head, text: text)
      if driver.head == nil {
        early = part
      } else if !fits(part) {
        if isEarly { stop(nil) } else { refused(part) }
      } else {
        driver.noteFoundRun()
      }
    }
  }

  /// Whether a part is the one asked for, of the same object.
  private func fits(_ part: PartHead) -> Bool {
    guard let known = driver.head, let splice = Splice(known, isKept: true) else { return false }
    switch splice.use(of: part, from: position, to: end) {
    case .rest: return true
    case .whole: return position == 0 && end == splice.total
    case nil: return false
    }
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    if isOver || kind == .head || driver.head == nil && isEarly { return false }
    if seam.isOpen { return unsafe takeSeam(read) }
    guard let (index, buffer) = currentSlice() else { return false }
    let count = unsafe buffer.write(read)
    position += Int64(count)
    if count > 0 {
      marker.take(buffer.lastBytes(count))
      publish(allBut: marker.held)
    }
    if buffer.free == 0, !isOver {
      current = nil
      if buffer.unpublished == 0 {
        complete(index, buffer)
      } else {
        held.append((index, buffer))
      }
    }
    return !isOver
  }

  /// Publishes what has come, all but its last bytes.
  private func publish(allBut last: Int) {
    var newer = (current?.buffer.unpublished ?? 0) + held.reduce(0) { $0 + $1.buffer.unpublished }
    while !isOver, let (index, buffer) = held.first {
      newer -= buffer.unpublished
      publish(buffer, allBut: max(0, last - newer))
      guard !isOver, buffer.unpublished == 0 else { return }
      held.removeFirst()
      complete(index, buffer)
    }
    if let current, !isOver { publish(current.buffer, allBut: last) }
  }

  private func publish(_ buffer: SliceBuffer, allBut last: Int) {
    let before = buffer.count
    let count = buffer.publish(allBut: last)
    if count > 0 { driver.landed(buffer, from: before, count: count) }
  }

  /// Whether the end that has come is the content's own: not if a gateway's words stand there, unless
  /// the body can be held against its CID.
  private func endsWell() -> Bool {
    if marker.isWhole && !driver.isChecked {
      if let server = call?.server { driver.worker.pool.fellShort(server) }
      driver.worker.tell(
        .gaveUp, region: driver.request.region, nil,
        ["server": .string(call?.server?.name ?? ""), "target": .string(driver.targetText)])
      return false
    }
    publish(allBut: 0)
    return !isOver
  }

  /// Whether a slice is here, or a fetch that began further on will bring it.
  private func isTaken(_ index: Int) -> Bool {
    driver.fill.isTaken(slice: index, from: max(slices.lowerBound, index - 1), by: number)
  }

  /// The buffer that the next bytes belong in; nil where there is no room, or no need.
  private func currentSlice() -> (index: Int, buffer: SliceBuffer)? {
    if let current { return current }
    let index = Int(position >> Int64(driver.sliceShift))
    if position >= end || driver.isKept && isTaken(index) || !driver.isOfUse {
      // The rest has come another way, or is for nobody.
      stop(nil)
      return nil
    }
    guard driver.hasRoom, let buffer = driver.buffer(slice: index) else {
      // Those who were near may have gone on without having left.
      if driver.fill.isForsaken(number) { stop(nil) }
      return nil
    }
    current = (index, buffer)
    driver.fill.setFetch(
      number, index..<max(slices.upperBound, index + 1), inOrder: driver.isInOrder)
    return current
  }

  private func complete(_ index: Int, _ buffer: SliceBuffer) {
    seam.filled(buffer.bytes)
    driver.completed(slice: index, buffer)
    if stopsAfterSlice && position < end {
      if driver.isAbandoned || driver.fill.isForsaken(number) {
        stop(nil)
      } else {
        stopsAfterSlice = false
      }
    }
  }

  override func finished(lengthKnown: Bool) {
    guard !isOver else { return }
    guard kind == .head || endsWell() else {
      if !isOver && !goOn(after: Fault(.closed, .upstream)) { over(Fault(.closed, .upstream)) }
      return
    }
    // Whether a CAR is whole its check says.
    if kind != .head, lengthKnown, driver.collector == nil, let server = call?.server {
      driver.worker.pool.endedWhole(server)
    }
    switch kind {
    case .head: over(nil)
    case .run: over(position == end || early != nil ? nil : Fault(.closed, .upstream))
    case .whole:
      guard driver.isKept || driver.isInOrder else {
        guard driver.completedPassed() else {
          over(Fault(.mismatch, .upstream))
          return
        }
        if driver.request.method != .head { driver.fill.ended(at: position) }
        over(nil)
        return
      }
      if end == .max {
        // Of a length that was not told; readers get its end once it is checked.
        guard driver.completedWhole() else {
          over(Fault(.mismatch, .upstream))
          return
        }
        driver.fill.ended(at: position)
        over(nil)
      } else if position != end {
        over(Fault(.closed, .upstream))
      } else {
        over(nil, whole: true)
      }
    }
  }

  override func failed(_ fault: Fault) {
    guard !isOver else { return }
    if let server = call?.server { driver.fill.wasAsked(of: server.name) }
    if call?.hasRefused ?? false, !hasHead, !takesAll, fault.side != .own {
      // Strange as it was, it was an answer: a gateway that says less than others may be the only one.
      takesAll = true
      start()
      return
    }
    if call?.endedInSilence ?? false {
      if !isRun {
        driver.noteSilence()
      } else if driver.head != nil && position == firstByte {
        // Nobody has what is missing: to ask the same again would take minutes more.
        driver.noteVainRun()
        over(Fault(.timeout, .upstream))
        return
      }
    }
    if goOn(after: fault) { return }
    // What was only a guess has not failed anybody yet.
    over(isEarly && driver.head == nil ? nil : fault)
  }

  /// Ends it for good.
  func cut() { stop(Fault(.cancelled, .own)) }

  func stop(_ fault: Fault?) {
    guard !isOver else { return }
    call?.cancel()
    over(fault)
  }

  private func over(_ fault: Fault?, whole: Bool = false) {
    isOver = true
    call = nil
    endSearch()
    if let current, driver.isKept {
      // Nobody would fill it up: whoever wants the slice has it fetched again.
      driver.fill.discard(slice: current.index)
    }
    if driver.isKept { for slice in held { driver.fill.discard(slice: slice.index) } }
    held = []
    if whole && driver.completedWhole() && !driver.isRefetching { driver.fill.setWhole() }
    driver.ended(self, fault)
  }
}
