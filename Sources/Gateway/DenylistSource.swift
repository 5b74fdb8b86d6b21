internal import Admission
internal import Base
internal import System

/// Why a denylist's file cannot be used, for people.
public struct DenylistUnusable: Error, Equatable, Sendable {
  public var sentence: String

  public init(_ sentence: String) {
    self.sentence = sentence
  }
}

/// One denylist's file and the rules that were read of it; belongs to one thread, which may wait for the disk.
///
/// What is appended is read from where the last reading ended. Anything else is another file: it is read whole, once it
/// has stood still, and until then the rules stay as they were.
final class DenylistSource {
  enum News {
    case none
    /// Lines were appended; the rules among them.
    case appended(DenyRules)
    case replaced
  }

  typealias HeaderReader = @Sendable ([UInt8]) throws(DenylistUnusable) -> DenylistHeader

  /// Rules of one file: some 3 GB of memory, and far below what its numbers can hold.
  private static let maximumRules = 150_000_000
  /// After so long a file that is written to all along is read nevertheless.
  private static let patience = Interval.seconds(5)
  /// Up to this size all that was read is compared before lines count as appended; beyond, both ends are.
  private static let comparedBytes = 16 << 20
  private static let comparedEnd = 64 << 10
  private static let pieceBytes = 1 << 20
  /// A table is made anew when so many rules lie beside it, or a sixteenth of all.
  private static let laterRules = 65_536

  let path: String
  private let readHeader: HeaderReader
  private let key: DenyKey
  private var state: State
  /// The file as the last look found it.
  private var seen: FileMark?
  /// A file that could not be used, which stays so.
  private var refused: FileMark?
  private var unsteadySince: Instant?
  private var isBuilding = false

  /// What has been read, and how far.
  private struct State: ~Copyable {
    var text: DenylistText
    /// The file as it was when all of it had been read.
    var mark: FileMark?
    /// Where reading goes on, and how many bytes without a line's end follow there.
    var consumed = 0
    var tail = 0
    /// Whether those have been read, since nothing came behind them.
    var tookTail = false
    /// What was read, in short.
    var fingerprint = Digest128(first: 0, second: 0)
  }

  init(path: String, key: DenyKey, readHeader: @escaping HeaderReader) {
    self.path = path
    self.key = key
    self.readHeader = readHeader
    state = State(text: DenylistText(expecting: 0, key: key))
  }

  var rules: DenyRules { state.text.rules }
  var invalidLines: Int { state.text.invalidLines }
  var places: [(line: Int, offset: Int)] { state.text.places }

  func takeComplaints() -> [DenyComplaint] { state.text.takeComplaints() }

  /// Looks whether the file has changed, and reads what is new.
  ///
  /// - Parameters:
  ///   - mayBuild: Whether there is time to read a whole file.
  ///   - between: Called now and then while a whole file is read.
  func look(
    at now: Instant, mayBuild: Bool, between: () -> Void
  ) throws(DenylistUnusable) -> News {
    let file = try onDisk { () throws(Fault) in try File(path: path, .read) }
    let mark = try onDisk { () throws(Fault) in try file.mark() }
    let stands = mark == seen
    seen = mark
    if mark == state.mark {
      unsteadySince = nil
      if stands, state.tail > 0, !state.tookTail { return .appended(try readTail(file)) }
      guard mayBuild, needsTable else { return .none }
      try build(file, mark, isAgain: true, between)
      // Nothing is new but the table.
      return .appended(DenyRules())
    }
    if let known = state.mark, mark.inode == known.inode, mark.size > known.size,
      try continues(file)
    {
      return .appended(try append(file, mark))
    }
    if mark == refused { return .none }
    let since = unsteadySince ?? now
    unsteadySince = since
    let isFirst = state.mark == nil
    guard mayBuild, stands || isFirst || now - since > Self.patience else { return .none }
    unsteadySince = nil
    do throws(DenylistUnusable) {
      try build(file, mark, isAgain: false, between)
    } catch {
      refused = mark
      throw error
    }
    return .replaced
  }

  /// Whether so many rules lie beside the table that it is worth making anew.
  private var needsTable: Bool {
    !isBuilding && state.text.rules.laterCount > max(Self.laterRules, state.text.rules.count / 16)
  }

  // MARK: What is appended

  /// Whether what was read is there as it was, and what follows begins a line.
  private func continues(_ file: borrowing File) throws(DenylistUnusable) -> Bool {
    if state.tookTail, try !endsLine(file) { return false }
    return try fingerprint(of: file, upTo: state.consumed) == state.fingerprint
  }

  /// Whether the bytes after a tail that was taken for a line end that line.
  private func endsLine(_ file: borrowing File) throws(DenylistUnusable) -> Bool {
    try lineEnd(file) > 0
  }

  /// How many bytes of a line's end follow at the place where reading goes on.
  private func lineEnd(_ file: borrowing File) throws(DenylistUnusable) -> Int {
    var bytes = ByteBuffer(capacity: 64)
    try read(file, at: state.consumed, 2, into: &bytes)
    if bytes.readable.hasPrefix("\r\n") { return 2 }
    return bytes.readable.hasPrefix("\n") ? 1 : 0
  }

  private func append(
    _ file: borrowing File, _ mark: FileMark
  ) throws(DenylistUnusable) -> DenyRules {
    if state.tookTail {
      let end = try lineEnd(file)
      state.text.skip(end)
      state.consumed += end
      state.tookTail = false
    }
    try take(file, &state, upTo: mark.size) {}
    state.mark = mark
    state.fingerprint = try fingerprint(of: file, upTo: state.consumed)
    return state.text.takeAppended()
  }

  private func readTail(_ file: borrowing File) throws(DenylistUnusable) -> DenyRules {
    var bytes = ByteBuffer(capacity: 256)
    try read(file, at: state.consumed, state.tail, into: &bytes)
    state.text.readTail(bytes.readable)
    state.consumed += bytes.count
    state.tail = 0
    state.tookTail = true
    state.fingerprint = try fingerprint(of: file, upTo: state.consumed)
    return state.text.takeAppended()
  }

  // MARK: A whole file

  /// Reads the whole file, and takes its rules in the place of those before.
  ///
  /// - Parameter isAgain: Whether it has been read before and goes on; then lines may be appended meanwhile.
  private func build(
    _ file: borrowing File, _ mark: FileMark, isAgain: Bool, _ between: () -> Void
  ) throws(DenylistUnusable) {
    isBuilding = true
    defer { isBuilding = false }
    var head = ByteBuffer(capacity: 4096)
    try read(file, at: 0, min(mark.size, DenylistText.maximumHeader), into: &head)
    var header = DenylistHeader()
    let place = DenylistText.header(in: head.readable)
    if let place {
      header = try readHeader(head.readable.extracting(0..<place.bytes).array)
    }
    let count = try countRules(file, mark.size, between)
    guard count <= Self.maximumRules else {
      throw DenylistUnusable("more than \(Self.maximumRules) rules")
    }
    var fresh = State(text: DenylistText(expecting: count, key: key))
    if let place {
      fresh.text.take(header, bytes: place.end, lines: place.lines)
      fresh.consumed = place.end
    }
    try take(file, &fresh, upTo: mark.size, between)
    fresh.text.endBuilding()
    fresh.fingerprint = try fingerprint(of: file, upTo: fresh.consumed)
    fresh.mark = mark
    let newest = state.mark
    state = fresh
    if isAgain, let newest, newest.size > mark.size { _ = try append(file, newest) }
  }

  private func countRules(
    _ file: borrowing File, _ size: Int, _ between: () -> Void
  ) throws(DenylistUnusable) -> Int {
    var count = 0
    var offset = 0
    var last = UInt8(ascii: "\n")
    var piece = ByteBuffer(capacity: Self.pieceBytes)
    while offset < size {
      piece.clear()
      let got = try read(file, at: offset, min(Self.pieceBytes, size - offset), into: &piece)
      if got == 0 { break }
      count += DenylistText.rules(in: piece.readable, after: last)
      last = piece.readable.byte(got - 1)
      offset += got
      between()
    }
    return count
  }

  /// Reads lines from where reading goes on to a file's end as it was seen.
  private func take(
    _ file: borrowing File, _ state: inout State, upTo size: Int, _ between: () -> Void
  ) throws(DenylistUnusable) {
    var bytes = ByteBuffer(capacity: 2 * Self.pieceBytes)
    var offset = state.consumed
    while offset < size {
      let got = try read(file, at: offset, min(Self.pieceBytes, size - offset), into: &bytes)
      if got == 0 { break }
      offset += got
      bytes.consume(state.text.read(bytes.readable))
      state.consumed = offset - bytes.count
      state.tail = bytes.count
      between()
    }
  }

  // MARK: Bytes

  /// Appends bytes of the file; how many there were, at most `count`.
  @discardableResult
  private func read(
    _ file: borrowing File, at offset: Int, _ count: Int, into bytes: inout ByteBuffer
  ) throws(DenylistUnusable) -> Int {
    guard count > 0 else { return 0 }
    do throws(Fault) {
      return try unsafe bytes.fill(atLeast: count) { room throws(Fault) in
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<count])
        return try unsafe file.read(at: offset, into: part)
      }
    } catch {
      throw DenylistUnusable(SystemError.text(error.errno))
    }
  }

  /// What stands in the file up to a place, in short.
  private func fingerprint(
    of file: borrowing File, upTo end: Int
  ) throws(DenylistUnusable) -> Digest128 {
    let parts =
      end <= Self.comparedBytes
      ? [0..<end] : [0..<Self.comparedEnd, end - Self.comparedEnd..<end]
    var chain = Digest128(first: UInt64(end), second: 0)
    var piece = ByteBuffer(capacity: Self.comparedEnd)
    for part in parts {
      var offset = part.lowerBound
      while offset < part.upperBound {
        piece.clear()
        let count = min(Self.comparedEnd, part.upperBound - offset)
        let got = try read(file, at: offset, count, into: &piece)
        if got == 0 { break }
        let key = SipKey(first: chain.first, second: chain.second)
        chain = SipHash.hash128(piece.readable, key: key)
        offset += got
      }
    }
    return chain
  }

  private func onDisk<Result: ~Copyable>(
    _ body: () throws(Fault) -> Result
  ) throws(DenylistUnusable) -> Result {
    do throws(Fault) {
      return try body()
    } catch {
      throw DenylistUnusable(SystemError.text(error.errno))
    }
  }
}
