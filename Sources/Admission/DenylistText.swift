internal import Base
internal import HTTP

/// What a denylist's header says (IPIP-383): a YAML mapping above a line of three hyphens.
public struct DenylistHeader: Equatable, Sendable {
  public var name: String?
  /// Whether the rules deny for legal reasons unless they say otherwise.
  public var isLegal: Bool

  public init(name: String? = nil, isLegal: Bool = false) {
    self.name = name
    self.isLegal = isLegal
  }
}

/// A line that is no rule, and why.
public struct DenyComplaint: Equatable, Sendable {
  public var line: Int
  public var error: DenyRuleError

  public init(line: Int, error: DenyRuleError) {
    self.line = line
    self.error = error
  }
}

/// The text of a denylist on its way to rules: takes bytes as they are read and gives whole lines on.
///
/// It reads no file. What is no rule is counted and passed over.
public struct DenylistText: ~Copyable {
  /// The longest line, its end included (IPIP-383).
  public static let maximumLine = 2 << 20
  /// The longest header, by the same.
  public static let maximumHeader = 1 << 20
  /// Complaints that are kept: the first few say what is wrong with a file.
  ///
  /// All are counted.
  public static let keptComplaints = 16
  /// Lines from one noted place to the next: what is read to find a line again.
  static let noteEvery = 1 << 16

  public private(set) var rules: DenyRules
  /// The lines read so far.
  public private(set) var line = 0
  /// The bytes taken so far.
  public private(set) var offset = 0
  public private(set) var complaints: [DenyComplaint] = []
  /// Lines that are no rules.
  public private(set) var invalidLines = 0
  /// Where some lines begin, so that any can be found again.
  public private(set) var places: [(line: Int, offset: Int)] = []
  private var header = DenylistHeader()
  private var digester: DenyDigester
  private var scratch = ByteBuffer(capacity: 256)
  private var isBuilding = true
  private var appended = DenyRules()
  /// Whether the rest of a line that is too long is being dropped.
  private var isSkipping = false

  /// - Parameter expecting: How many rules there will be, or some more; see `DenylistText.rules(in:)`.
  public init(expecting rules: Int, key: DenyKey) {
    self.rules = DenyRules(expecting: rules)
    digester = DenyDigester(key)
  }

  /// Ends the reading of what was there: rules that come from now on are appended ones.
  public mutating func endBuilding() { isBuilding = false }

  /// The rules that were appended since the last time that somebody asked.
  public mutating func takeAppended() -> DenyRules {
    let taken = appended
    appended = DenyRules()
    return taken
  }

  /// Goes on behind bytes that are none of any line.
  public mutating func skip(_ bytes: Int) { offset += bytes }

  /// Takes a header, and goes on behind it.
  public mutating func take(_ header: DenylistHeader, bytes: Int, lines: Int) {
    self.header = header
    offset += bytes
    line += lines
  }

  /// Reads the whole lines that some bytes begin with; how many bytes those are.
  ///
  /// What is left is to be given again with what follows. A piece as long as the longest line is taken in any case.
  public mutating func read(_ bytes: RawSpan) -> Int {
    var start = 0
    while start < bytes.byteCount {
      let end = bytes.first(UInt8(ascii: "\n"), from: start, to: bytes.byteCount)
      guard end < bytes.byteCount else { break }
      if places.isEmpty || line % Self.noteEvery == 0 {
        places.append((line + 1, offset + start))
      }
      line += 1
      if isSkipping {
        isSkipping = false
      } else if end - start + 1 > Self.maximumLine {
        complain(.tooLong)
      } else {
        read(line: bytes.extracting(start..<end))
      }
      start = end + 1
    }
    if bytes.byteCount - start >= Self.maximumLine {
      if !isSkipping {
        invalidLines += 1
        if complaints.count < Self.keptComplaints {
          complaints.append(DenyComplaint(line: line + 1, error: .tooLong))
        }
      }
      isSkipping = true
      start = bytes.byteCount
    }
    offset += start
    return start
  }

  /// Reads what stands behind the last line's end as if it ended there.
  public mutating func readTail(_ bytes: RawSpan) {
    guard bytes.byteCount > 0, !isSkipping else { return }
    line += 1
    read(line: bytes)
    offset += bytes.byteCount
  }

  private mutating func read(line text: RawSpan) {
    // A mark of UTF-8 that some editors put before a file's first line.
    let isMarked = line == 1 && text.hasPrefix("\u{feff}")
    let text = isMarked ? text.extracting(3..<text.byteCount) : text
    do throws(DenyRuleError) {
      guard let rule = try DenyRule.parse(text, scratch: &scratch) else { return }
      let mark = DenyMark(
        line: line, allows: rule.allows, isLegal: rule.isLegal ?? header.isLegal)
      rules.add(rule, mark, isBuilding: isBuilding, by: &digester)
      if !isBuilding { appended.add(rule, mark, isBuilding: false, by: &digester) }
    } catch {
      complain(error)
    }
  }

  private mutating func complain(_ error: DenyRuleError) {
    invalidLines += 1
    if complaints.count < Self.keptComplaints {
      complaints.append(DenyComplaint(line: line, error: error))
    }
  }

  /// The complaints so far, once.
  public mutating func takeComplaints() -> [DenyComplaint] {
    let taken = complaints
    complaints = []
    return taken
  }

  // MARK: Before reading

  /// Where a header ends, in a file's first bytes: its own bytes, those up to the first rule, and the lines these are.
  ///
  /// - Returns: Nil where there is none within the longest one's bytes.
  public static func header(in bytes: RawSpan) -> (bytes: Int, end: Int, lines: Int)? {
    let limit = min(bytes.byteCount, maximumHeader)
    var start = 0
    var lines = 0
    while start < limit {
      let end = bytes.first(UInt8(ascii: "\n"), from: start, to: limit)
      guard end < limit else { return nil }
      lines += 1
      let line = bytes.extracting(start..<end)
      if line.equals("---") || line.equals("---\r") { return (start, end + 1, lines) }
      start = end + 1
    }
    return nil
  }

  /// How many rules some bytes may hold: lines that are neither empty nor a comment.
  ///
  /// - Parameter last: The byte before them; a line's end for a file's first ones.
  public static func rules(in bytes: RawSpan, after last: UInt8) -> Int {
    var count = 0
    var start = 0
    if last == UInt8(ascii: "\n"), bytes.byteCount > 0, begins(bytes, 0) { count += 1 }
    while start < bytes.byteCount {
      let end = bytes.first(UInt8(ascii: "\n"), from: start, to: bytes.byteCount)
      start = end + 1
      if start < bytes.byteCount, begins(bytes, start) { count += 1 }
    }
    return count
  }

  private static func begins(_ bytes: RawSpan, _ offset: Int) -> Bool {
    let byte = bytes.byte(offset)
    return byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "#") && byte != UInt8(ascii: "\r")
  }
}
