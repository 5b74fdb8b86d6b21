public import Base
public import EventLoop
internal import Synchronization

/// An object on its way into the cache, and everybody who reads it meanwhile.
///
/// One worker owns it: only its fetches bring bytes. Readers on any worker join at any offset and take
/// what has landed, from memory until the slice is in its segment file and from there afterwards.
/// All that is shared lies behind one lock, held for moments; the bytes themselves are published by
/// the buffers' counts and read without it.
///
/// Invariants: a slice is filled by one fetch at a time; bytes at and above `visibleEnd` reach nobody;
/// a fill leaves the table only when nobody can need it there: after its last commit, or as soon as
/// it is known not to be kept.
public final class Fill: @unchecked Sendable {
  // Unchecked: `state` is guarded by its Mutex; `source` is touched on the owner's thread only; the rest
  // is constant.

  /// How far a fetch of what is kept may run ahead of the furthest reader that it brings bytes.
  public static let keptWindow: Int64 = 32 << 20
  /// How far a fetch may run ahead of the slowest reader of what is not kept.
  public static let passedWindow: Int64 = 256 << 10
  /// A reader this many slices ahead of a fetch gets one of its own.
  public static let aheadSlices = 4
  /// The most that a source holds back of the end of what has come, until more shows what it is.
  static let heldBackBytes: Int64 = 128
  /// The slice size of answers that are not kept.
  public static let passedShift: UInt8 = 16

  enum Place {
    case memory(SliceBuffer)
    case disk(Slice)
  }

  /// Where a fetch is: the slice it is at, the first that it will not bring, and how many slices
  /// ahead of it readers wait rather than have one of their own.
  struct FetchPlace {
    var slices: Range<Int>
    var reach: Int

    func promises(_ slice: Int) -> Bool {
      slices.contains(slice) && slice - slices.lowerBound <= reach
    }

    /// Whether everybody waits for it, however far ahead.
    var isInOrder: Bool { reach > Fill.aheadSlices }
  }

  /// Readers of one worker that wait, and whether it has been told and has not looked yet.
  struct WaitingReaders {
    let port: WorkerPort
    var readers: [FillReader] = []
    var isTold = false
  }

  struct State {
    var head: AnswerHead?
    /// The server asked last, by its name; empty until it has answered or failed.
    var asked = ""
    var isKept = false
    var sliceShift: UInt8 = Fill.passedShift
    /// Known, or found at the end.
    var totalBytes: Int64?
    var visibleEnd = Int64.max
    var places: [Int: Place] = [:]
    var failure: Fault?
    /// In an order that follows from what happened alone; each knows its own place.
    var readers: [FillReader] = []
    /// Those of them that wait, by worker: thousands that are busy cost a wake-up nothing.
    var waiting: [WaitingReaders] = []
    /// Fetches under way.
    var fetches: [Int: FetchPlace] = [:]
    var isFetching = true
    /// Where a fetch stopped because the window was full.
    var pausedAt: Int64?
    /// What a fetch stopped for want of, in bytes of the budget; 0 where it was not for that.
    var lacking = 0
    /// Bytes of the budget that have been taken for slices still to come.
    var reserved = 0
    var pendingWrites = 0
    var isWhole = false
    var isListed = true
    var isRetired = false
  }

  public let key: Digest128
  /// The canonical key; compared by those who join.
  public let canonicalKey: [UInt8]
  /// The client's Host that upstreams are asked with, where it stands for the content; empty where its path does.
  ///
  /// What is kept is the same for all. What else an upstream says is for this host alone: a name's may lead
  /// elsewhere by now.
  public let host: [UInt8]
  let owner: WorkerPort
  let ownerLoop: Loop
  let budget: SliceBudget
  private let table: FillTable?
  let state = Mutex(State())
  public var source: FillSource?

  /// A fill of the calling worker.
  ///
  /// `table` is nil for an answer that nobody may join.
  public init(
    key: Digest128, canonicalKey: [UInt8], host: [UInt8] = [], owner: WorkerPort, loop: Loop,
    table: FillTable?, budget: SliceBudget
  ) {
    self.key = key
    self.canonicalKey = canonicalKey
    self.host = host
    self.owner = owner
    ownerLoop = loop
    self.table = table
    self.budget = budget
  }

  deinit {
    state.withLock { giveReserve(&$0) }
  }

  // MARK: For readers, on any worker

  /// The head, once it is known.
  public var head: AnswerHead? { state.withLock { $0.head } }

  /// Whether the answer is being kept, once its head is known.
  public var isKept: Bool { state.withLock { $0.isKept } }

  /// Lets the reader of a fill that is in no table take part.
  public func admit(_ reader: FillReader) {
    precondition(table == nil)
    attach(reader)
  }

  /// Lets a reader take part; under the table's lock.
  func attach(_ reader: FillReader) {
    state.withLock { state in
      reader.slot = state.readers.count
      state.readers.append(reader)
    }
  }

  /// Tells which bytes a reader is after, once the head has said what its range means.
  public func aim(_ reader: FillReader, at range: Range<Int64>) {
    let isForsaken = state.withLock { state in
      reader.position = range.lowerBound
      reader.end = range.upperBound
      return state.hasForsakenFetch
    }
    if isForsaken { tellOwner { $0.readerLeft() } }
  }

  /// What there is for a reader that has taken everything below `position`.
  public func next(_ reader: FillReader, at position: Int64) -> FillStep {
    var makesRoom = false
    let step: FillStep = state.withLock { state in
      let passed = reader.position >> Int64(state.sliceShift)
      reader.position = position
      if let fault = reader.fault {
        reader.fault = nil
        return .failed(fault)
      }
      let step = Self.step(&state, at: position, end: reader.end)
      if !state.isKept && position >> Int64(state.sliceShift) != passed { Self.release(&state) }
      makesRoom = Self.makesRoom(&state, reader)
      if case .wait = step { state.wait(reader) }
      return step
    }
    if makesRoom { tellOwner { $0.roomMade() } }
    return step
  }

  private static func step(_ state: inout State, at position: Int64, end: Int64) -> FillStep {
    guard state.head != nil else { return state.failure.map(FillStep.failed) ?? .wait }
    if position >= min(end, state.totalBytes ?? .max) { return .end }
    let index = Int(position >> Int64(state.sliceShift))
    let offset = Int(position & (Int64(1) << Int64(state.sliceShift) - 1))
    let sliceStart = position - Int64(offset)
    // Until the check a part must not become complete either.
    let due = state.visibleEnd == .max ? end : end - 1
    let last = min(due, state.totalBytes ?? .max, state.visibleEnd)
    switch state.places[index] {
    case .memory(let buffer):
      let count = min(Int64(buffer.count), last - sliceStart) - Int64(offset)
      if count > 0 { return .bytes(buffer, offset: offset, count: Int(count)) }
    case .disk(let slice):
      let size = Int64(1) << Int64(state.sliceShift)
      let count = min(size, last - sliceStart) - Int64(offset)
      if count > 0 { return .stored(slice, index: index, offset: offset, count: Int(count)) }
    case nil:
      if !isPromised(state, index) {
        return state.failure.map(FillStep.failed) ?? .absent(index: index)
      }
    }
    return state.failure.map(FillStep.failed) ?? .wait
  }

  /// Says that a slice is neither here nor in the index; waits for it.
  public func want(_ reader: FillReader, slice: Int) {
    let end = state.withLock { state in
      state.wait(reader)
      return reader.end
    }
    tellOwner { $0.wanted(slice: slice, end: end) }
  }

  /// Says that a slice on the disk has been evicted.
  public func lost(slice index: Int, at place: Slice) {
    state.withLock { state in
      guard case .disk(let held)? = state.places[index], held == place else { return }
      state.places[index] = nil
      // A fetch that stands here has brought it, and waits for room: nobody may wait for that fetch.
      for (number, fetch) in state.fetches where fetch.slices.lowerBound == index {
        state.fetches[number]?.slices = index + 1..<max(fetch.slices.upperBound, index + 1)
      }
    }
  }

  /// Ends a reader's part.
  ///
  /// When it was the last, the source decides what is still worth finishing.
  public func detach(_ reader: FillReader) {
    var makesRoom = false
    var isForsaken = false
    let isLast = state.withLock { state in
      guard let slot = reader.slot else { return false }
      reader.slot = nil
      state.forget(reader)
      let last = state.readers.removeLast()
      if last !== reader {
        state.readers[slot] = last
        last.slot = slot
      }
      if !state.isKept { Self.release(&state) }
      if state.pausedAt != nil {
        state.pausedAt = nil
        makesRoom = true
      }
      isForsaken = state.hasForsakenFetch
      return state.readers.isEmpty && state.isFetching
    }
    if isLast { tellOwner { $0.abandoned() } }
    if isForsaken { tellOwner { $0.readerLeft() } }
    if makesRoom { tellOwner { $0.roomMade() } }
    leaveIfDone()
  }

  private func tellOwner(_ message: @escaping @Sendable (FillSource) -> Void) {
    owner.mailbox.post { [self] in
      if let source { message(source) }
    }
  }

  // MARK: For the source, on the owner's worker

  /// The head has come.
  ///
  /// `kept` says whether bytes go to the disk, in slices of `sliceShift`.
  ///
  /// Bytes from `visibleEnd` on are held back until `releaseAll`.
  public func open(
    _ head: AnswerHead, kept: Bool, sliceShift: UInt8, visibleEnd: Int64 = .max
  ) {
    state.withLock { state in
      state.head = head
      state.isKept = kept
      state.sliceShift = kept ? sliceShift : Self.passedShift
      state.totalBytes = head.totalBytes
      state.visibleEnd = visibleEnd
    }
    if !kept { leaveTable() }
    wakeReaders()
  }

  /// Where a fetch is and how far it goes, in slices; its number is the source's own.
  ///
  /// Everybody waits for one that must bring its bytes in order, however far ahead they are.
  public func setFetch(_ number: Int, _ slices: Range<Int>, inOrder: Bool = false) {
    state.withLock {
      $0.fetches[number] = FetchPlace(
        slices: slices, reach: inOrder ? slices.count : Self.aheadSlices)
    }
  }

  /// A fetch has ended; readers that counted on it look again.
  public func removeFetch(_ number: Int) {
    state.withLock { $0.fetches[number] = nil }
    wakeReaders()
  }

  /// Whether a slice is here, or will be brought soon enough by a fetch under way.
  public func isUnderWay(slice: Int) -> Bool {
    state.withLock { $0.places[slice] != nil || Self.isPromised($0, slice) }
  }

  /// Whether a fetch that is at slice `first` need not bring another one: it is here, or another fetch
  /// further on will bring it.
  ///
  /// One further back will not: it is to stop where this one began.
  public func isTaken(slice: Int, from first: Int, by number: Int) -> Bool {
    state.withLock { state in
      state.places[slice] != nil
        || state.fetches.contains {
          $0.key != number && $0.value.slices.lowerBound > first && $0.value.slices.contains(slice)
        }
    }
  }

  /// Whether no reader is left that a fetch brings bytes, though there are others.
  public func isForsaken(_ number: Int) -> Bool {
    state.withLock { state in
      state.fetches[number].map { state.isForsaken($0) } ?? false
    }
  }

  private static func isPromised(_ state: State, _ slice: Int) -> Bool {
    state.fetches.values.contains { $0.promises(slice) }
  }

  /// A buffer for the bytes of a slice from its start; nil while the window is full, or all memory
  /// is in use.
  ///
  /// After the one the source is told `roomMade` when a reader has moved on; after the other
  /// (`lackingBytes`) it is to ask again.
  public func buffer(slice index: Int) -> SliceBuffer? {
    state.withLock { state in
      state.lacking = 0
      if case .memory(let buffer)? = state.places[index] { return buffer }
      if !state.isKept { Self.release(&state) }
      let size = Int64(1) << Int64(state.sliceShift)
      let start = Int64(index) << Int64(state.sliceShift)
      if !state.readers.isEmpty && !state.isInWindow(start) && !state.isForNobody(start) {
        // Of several fetches the one that is furthest behind goes on first; the others ask again.
        state.pausedAt = min(state.pausedAt ?? .max, start)
        return nil
      }
      let capacity = Int(max(1, min(size, (state.totalBytes ?? .max) - start)))
      guard let use = takeMemory(&state, start, capacity) else { return nil }
      let buffer = SliceBuffer(capacity: capacity, of: budget, use)
      state.places[index] = .memory(buffer)
      return buffer
    }
  }

  /// Forgets a slice that was begun and will not be finished.
  public func discard(slice index: Int) {
    state.withLock { state in
      if case .memory? = state.places[index] { state.places[index] = nil }
    }
  }

  /// Whether a reader's step lets a paused fetch go on.
  private static func makesRoom(_ state: inout State, _ reader: FillReader) -> Bool {
    guard let pausedAt = state.pausedAt else { return false }
    // Of what is kept each reader counts, and a step can only carry this one further.
    let hasRoom =
      state.isKept ? state.isInReach(reader, of: pausedAt) : state.isInWindow(pausedAt)
    guard hasRoom else { return false }
    state.pausedAt = nil
    return true
  }

  /// Bytes have landed in a buffer.
  public func landed() { wakeReaders() }

  /// The body ended here, where its length was not known before.
  public func ended(at total: Int64) {
    state.withLock { $0.totalBytes = total }
    wakeReaders()
  }

  /// Every byte has come.
  public func setWhole() { state.withLock { $0.isWhole = true } }

  /// What was held back has been checked.
  public func releaseAll() {
    state.withLock { $0.visibleEnd = .max }
    wakeReaders()
  }

  /// No more bytes will come; readers that need others are told so.
  ///
  /// The first fault counts.
  public func fail(_ fault: Fault) {
    // First out of the table: who begins anew must not find this one again.
    leaveTable()
    state.withLock { state in
      state.failure = state.failure ?? fault
      giveReserve(&state)
    }
    wakeReaders()
  }

  /// A fetch has failed: those who wait for it alone are told so, and nobody else.
  public func failFetch(_ number: Int, _ fault: Fault) {
    state.withLock { state in
      guard let failed = state.fetches.removeValue(forKey: number) else { return }
      for reader in state.readers where reader.isWaiting {
        let index = Int(reader.position >> Int64(state.sliceShift))
        if failed.promises(index) && !Self.isPromised(state, index) { reader.fault = fault }
      }
    }
    wakeReaders()
  }

  /// The size of slices as a power of two, once the head is known.
  public var sliceShift: UInt8 { state.withLock { $0.sliceShift } }

  /// Fetches have ended (or begun again); a fill that is not fetching leaves when it is committed.
  public func setFetching(_ isFetching: Bool) {
    state.withLock { $0.isFetching = isFetching }
    if !isFetching { leaveIfDone() }
  }

  /// Whether every byte is here, or on its way from here to the disk.
  public var isWhole: Bool { state.withLock { $0.isWhole && $0.isKept } }

  public var hasFailed: Bool { state.withLock { $0.failure != nil } }

  /// Whether the bytes are still to be checked as a whole.
  public var isHeldBack: Bool { state.withLock { $0.visibleEnd != .max } }

  /// Whether all of them are held back until then.
  public var isHeldWhole: Bool { state.withLock { $0.visibleEnd == 0 } }

  public var hasReaders: Bool { state.withLock { !$0.readers.isEmpty } }

  // MARK: For the cache writer

  /// A job has been handed to the writer.
  public func writeBegan() { state.withLock { $0.pendingWrites += 1 } }

  /// What became of a slice's job.
  ///
  /// Called on the writer's thread.
  public func written(slice index: Int, _ event: WriteEvent) {
    switch event {
    case .written(let slice): state.withLock { $0.places[index] = .disk(slice) }
    case .committed, .unlisted: writeEnded()
    case .failed:
      // The disk took nothing: from here on the answer is given, not kept.
      stopKeeping()
      writeEnded()
    }
  }

  /// A job without a slice has ended.
  public func writeEnded() {
    state.withLock { $0.pendingWrites -= 1 }
    leaveIfDone()
  }

  /// Goes on without the disk: what is in memory stays until its slowest reader has it.
  public func stopKeeping() {
    let was = state.withLock { state in
      let was = state.isKept
      state.isKept = false
      return was
    }
    if was { leaveTable() }
  }

  // MARK: Within

  /// Frees what every reader has passed.
  private static func release(_ state: inout State) {
    if state.visibleEnd != .max {
      state.releaseUnneeded()
      return
    }
    guard let slowest = state.readers.lazy.map(\.position).min() else { return }
    let current = Int(slowest >> Int64(state.sliceShift))
    for index in state.places.keys where index < current { state.places[index] = nil }
  }

  private func leaveTable() {
    let listed = state.withLock { state in
      let listed = state.isListed
      state.isListed = false
      return listed
    }
    if listed { table?.remove(self) }
  }

  private func leaveIfDone() {
    // The table's lock comes before the fill's, here as in `FillTable.join`.
    table?.removeIfDone(self)
    let retires = state.withLock { state in
      let isDone =
        !state.isFetching && state.pendingWrites == 0 && state.readers.isEmpty && !state.isRetired
        && (!state.isListed || table == nil)
      if isDone { state.isRetired = true }
      return isDone
    }
    // Fill and source hold each other for as long as either is needed.
    if retires { owner.mailbox.post { [self] in source = nil } }
  }

  /// Whether the table may forget this fill: called under the table's lock.
  func claimDone() -> Bool {
    state.withLock { state in
      let isDone =
        state.isListed && !state.isFetching && state.pendingWrites == 0 && state.readers.isEmpty
      if isDone { state.isListed = false }
      return isDone
    }
  }
}
