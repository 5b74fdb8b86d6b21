internal import Base
internal import Cache
internal import IPFS
internal import Router

/// A CAR on its way to clients: held against what was asked for, and gathered to be kept if it turns out to
/// be all of it.
///
/// That it ends proves nothing (gateway digest A5), so it goes to the disk only afterwards.
struct CARCollector: ~Copyable {
  private var check: CARCheck
  private let budget: SliceBudget
  private let sliceBytes: Int
  /// Whole slices.
  private var slices: [SliceBuffer] = []
  /// The slice under way, and what has been taken of the budget for it.
  private var current: [UInt8] = []
  private var reserved = 0
  /// Why it is not gathered any more; nil while it is.
  private(set) var notStored: NotStored?
  private(set) var count = 0

  init(
    _ content: FillContent, sliceBytes: Int, budget: SliceBudget, notStored: NotStored? = nil
  ) {
    check = CARCheck(
      CARQuestion(
        root: content.root, segments: content.segments,
        parameters: content.selection.parameters),
      maximumMemory: GatewayOptions.checkedStructure)
    self.sliceBytes = sliceBytes
    self.budget = budget
    self.notStored = notStored
  }

  deinit {
    budget.giveCollected(reserved)
    // The slices give their own memory back.
    budget.keepCollected(gathered)
  }

  /// Bytes of whole slices.
  private var gathered: Int { slices.reduce(0) { $0 + $1.capacity } }

  /// Takes the stream's next bytes; an error says that they are not what their CIDs name.
  mutating func take(_ bytes: RawSpan) throws(CARError) {
    try check.update(bytes)
    count += bytes.byteCount
    if count > GatewayOptions.collectedBytes { drop(.tooLarge) }
    var rest = bytes
    while notStored == nil, rest.byteCount > 0 {
      let part = min(rest.byteCount, sliceBytes - current.count)
      guard makeRoom(current.count + part) else {
        drop(.memory)
        return
      }
      let next = rest.extracting(0..<part)
      unsafe next.withUnsafeBytes { unsafe current.append(contentsOf: $0) }
      rest = rest.extracting(part..<rest.byteCount)
      if current.count == sliceBytes { closeSlice() }
    }
  }

  /// The end has come: what the stream is, and its slices if it is to be kept.
  mutating func finish() -> (report: CARReport, slices: [SliceBuffer]) {
    let report = check.finish()
    if !current.isEmpty { closeSlice() }
    let whole = notStored == nil ? slices : []
    budget.keepCollected(gathered)
    slices = []
    return (report, whole)
  }

  private mutating func closeSlice() {
    // What lies ready above the slice's own size is given back.
    budget.giveCollected(reserved - current.count)
    slices.append(budget.collected(current))
    reserved = 0
    current = []
  }

  /// Takes more of the budget, by doubling, since most CARs are small.
  private mutating func makeRoom(_ bytes: Int) -> Bool {
    guard bytes > reserved else { return true }
    let wanted = min(sliceBytes, max(bytes, 2 * reserved, 16 * 1024))
    guard budget.takeCollected(wanted - reserved) else { return false }
    reserved = wanted
    return true
  }

  private mutating func drop(_ why: NotStored) {
    guard notStored == nil else { return }
    notStored = why
    budget.giveCollected(reserved)
    reserved = 0
    current = []
    budget.keepCollected(gathered)
    slices = []
  }
}

extension CARSelection {
  /// The same as the values by which a CAR is walked.
  var parameters: CARParameters {
    let range = range
    let order: CARParameters.Order = self.order == .unknown ? .unknown : .depthFirst
    let duplicates = self.duplicates == .yes
    switch scope {
    case .unsaid where range == nil, .all:
      return CARParameters(scope: .all, order: order, duplicates: duplicates)
    case .unsaid, .entity:
      return CARParameters(
        scope: .entity, entityBytes: range, order: order, duplicates: duplicates)
    case .block: return CARParameters(scope: .block, order: order, duplicates: duplicates)
    }
  }

  /// The range that is asked for; nil for none, or one that runs backwards.
  private var range: CARParameters.EntityBytes? {
    bytes.flatMap { bytes in
      CARParameters.EntityBytes(
        Array("\(bytes.first):\(bytes.last.map { "\($0)" } ?? "*")".utf8).rawBytes)
    }
  }

  /// Whether a gateway refuses the range that is asked for.
  var isRefused: Bool { bytes != nil && range == nil }
}
