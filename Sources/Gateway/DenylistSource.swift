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
    /// The file is another one, and is not read yet.
    case waiting
    /// The same rules lie in another table.
    case rebuilt
    /// Lines were appended; the rules among them.
    case appended(DenyRules)
    case replaced
  }

  typealias HeaderReader = @Sendable ([UInt8]) throws(DenylistUnusable) -> DenylistHeader

  /// Rules of one file: some 3 GB of memory, and far below what its numbers can hold.
  private static let maximumRules = 150_000_000
  /// After so long a file that is written to all along is read nevertheless.
  private static let patience = Interval.seconds(5)
  /// Up to this size all that was read is compared before lines count as appended; beyond, both ends are, and all of it
  /// once the file stands.
  static let comparedBytes = 16 << 20
  /// From one such comparison to the next: a gigabyte keeps a processor busy for a second.
  private static let comparisonPause = Interval.seconds(60)
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
  /// A file that could not be used, which stays so, and why.
  private var refused: (mark: FileMark, error: DenylistUnusable)?
  private var unsteadySince: Instant?
  private var nextComparison = Instant.zero
  private let comparedBytes: Int
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
    /// All that was read, up to the file's end as it was.
    var digest = DenylistDigest()
    /// Whether what was read is known to have stood there still when lines were appended last.
    var isCompared = true
  }

  init(
    path: String, key: DenyKey, comparedBytes: Int = DenylistSource.comparedBytes,
    readHeader: @escaping HeaderReader
  ) {
    self.path = path
    self.key = key
    self.comparedBytes = comparedBytes
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
    if let refused, mark == refused.mark { throw refused.error }
    if mark == state.mark {
      unsteadySince = nil
      if stands, state.tail > 0, !state.tookTail {
        try readTail(file, &state)
        return .appended(state.text.takeAppended())
      }
      guard mayBuild else { return .none }
      do throws(DenylistUnusable) {
        return try readAgain(file, mark, stands && now >= nextComparison, now, between)
      } catch {
        refused = (mark, error)
        throw error
      }
    }
    if let known = state.mark, mark.inode == known.inode, mark.size > known.size,
      try continues(file)
    {
      return .appended(try append(file, mark))
    }
    let since = unsteadySince ?? now
    unsteadySince = since
    let isFirst = state.mark == nil
    guard mayBuild, stands || isFirst || now - since > Self.patience else { return .waiting }
    unsteadySince = nil
    do throws(DenylistUnusable) {
      // A last line without an end is one where nobody writes it on; a start waits for nobody.
      try build(file, mark, isAgain: false, takesTail: stands || isFirst, between)
    } catch {
      refused = (mark, error)
      throw error
    }
    refused = nil
    return .replaced
  }

  /// Compares what was read with a file that nobody has touched since, or makes its table anew, if either is due.
  private func readAgain(
    _ file: borrowing File, _ mark: FileMark, _ mayCompare: Bool, _ now: Instant,
    _ between: () -> Void
  ) throws(DenylistUnusable) -> News {
    if mayCompare, !state.isCompared {
      nextComparison = now + Self.comparisonPause
      guard try isAsRead(file, between) else {
        let newest = try onDisk { () throws(Fault) in try file.mark() }
        try build(file, newest, isAgain: true, takesTail: newest == mark, between)
        return .replaced
      }
      if state.mark == mark { state.isCompared = true }
    }
    guard needsTable, state.mark == mark else { return .none }
    let isSame = try build(file, mark, isAgain: true, takesTail: state.tookTail, between)
    return isSame ? .rebuilt : .replaced
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
      state.digest.update(Array((end == 2 ? "\r\n" : "\n").utf8).rawBytes)
      state.tookTail = false
    }
    try take(file, &state, upTo: mark.size) {}
    state.mark = mark
    state.isCompared = state.consumed <= comparedBytes
    state.fingerprint = try fingerprint(of: file, upTo: state.consumed)
    return state.text.takeAppended()
  }

  /// Takes what follows the last line's end for a line.
  private func readTail(_ file: borrowing File, _ state: inout State) throws(DenylistUnusable) {
    var bytes = ByteBuffer(capacity: 256)
    try read(file, at: state.consumed, state.tail, into: &bytes)
    state.text.readTail(bytes.readable)
    state.consumed += bytes.count
    state.tail = 0
    state.tookTail = true
    state.fingerprint = try fingerprint(of: file, upTo: state.consumed)
  }

  // MARK: A whole file

  /// Reads the whole file, and takes its rules in the place of those before.
  ///
  /// - Parameters:
  ///   - isAgain: Whether it has been read before and goes on; then lines may be appended meanwhile.
  ///   - takesTail: Whether what follows the last line's end is a line.
  /// - Returns: Whether it is what was read before.
  @discardableResult
  private func build(
    _ file: borrowing File, _ mark: FileMark, isAgain: Bool, takesTail: Bool,
    _ between: () -> Void
  ) throws(DenylistUnusable) -> Bool {
    let known = (state.digest.count, state.digest.value)
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
      fresh.digest.update(head.readable.extracting(0..<place.end))
      fresh.consumed = place.end
    }
    try take(file, &fresh, upTo: mark.size, between)
    if takesTail, fresh.tail > 0 { try readTail(file, &fresh) }
    fresh.text.endBuilding()
    fresh.fingerprint = try fingerprint(of: file, upTo: fresh.consumed)
    fresh.mark = mark
    let isSame = known == (fresh.digest.count, fresh.digest.value)
    let newest = state.mark
    state = fresh
    if isAgain, let newest, newest.size > mark.size {
      // What goes on otherwise is another file, which the next look finds.
      let goesOn = try state.tookTail ? endsLine(file) : true
      if goesOn { _ = try append(file, newest) }
    }
    return isSame
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
      // A last line without an end is read once more.
      let isNew = max(0, offset - state.digest.count)
      let (first, end) = (max(0, bytes.count - isNew), bytes.count)
      state.digest.update(bytes.readable.extracting(first..<end))
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

  /// Whether all that was read stands in the file as it was.
  private func isAsRead(
    _ file: borrowing File, _ between: () -> Void
  ) throws(DenylistUnusable) -> Bool {
    // Lines may be appended meanwhile.
    let known = (state.digest.count, state.digest.value)
    var digest = DenylistDigest()
    var piece = ByteBuffer(capacity: Self.pieceBytes)
    while digest.count < known.0 {
      piece.clear()
      let wanted = min(Self.pieceBytes, known.0 - digest.count)
      guard try read(file, at: digest.count, wanted, into: &piece) > 0 else { return false }
      digest.update(piece.readable)
      between()
    }
    return digest.value == known.1
  }

  /// What stands in the file up to a place, in short: all of it, or both ends.
  private func fingerprint(
    of file: borrowing File, upTo end: Int
  ) throws(DenylistUnusable) -> Digest128 {
    let parts =
      end <= max(comparedBytes, 2 * Self.comparedEnd)
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
