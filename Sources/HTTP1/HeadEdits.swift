public import Base
internal import HTTP

/// What an operator changes about the fields of every answer: some are set, some removed.
public struct HeadEdits: Equatable, Sendable {
  /// In lower case.
  private let names: [[UInt8]]
  /// The lines of what is set, each with its end.
  private let lines: [UInt8]

  /// Takes names with the values that they are to have, nil for those to be removed.
  ///
  /// What is no field name is left out; control bytes in values are written as spaces.
  public init(_ edits: [(name: String, value: String?)] = []) {
    var names: [[UInt8]] = []
    var lines = ByteBuffer(capacity: 1024)
    for edit in edits {
      let name = Array(edit.name.utf8)
      guard name.rawBytes.isToken else { continue }
      names.append(name.map(\.asciiLowercased))
      if let value = edit.value { HeadWriter.field(name: edit.name, value: value, to: &lines) }
    }
    self.names = names
    self.lines = lines.readable.array
  }

  public var isEmpty: Bool { names.isEmpty }

  /// Changes a head that is being written and has no empty line yet.
  ///
  /// - Parameters:
  ///   - head: Ends in whole lines, of which the head's own begin at `start`.
  ///   - scratch: Room to work in, of any content.
  public func apply(to head: inout ByteBuffer, from start: Int, scratch: inout ByteBuffer) {
    guard !isEmpty, start >= 0 else { return }
    scratch.clear()
    let end = head.count
    // Everything before the first line that goes stays where it is.
    var firstGone: Int?
    var offset = start
    while offset < end {
      let next = min(head.readable.first(0x0a, from: offset, to: end) + 1, end)
      let line = head.readable.extracting(offset..<next)
      if isEdited(line) {
        firstGone = firstGone ?? offset
      } else if firstGone != nil {
        scratch.append(line)
      }
      offset = next
    }
    if let firstGone {
      head.dropLast(end - firstGone)
      head.append(scratch.readable)
    }
    head.append(lines)
  }

  /// Whether a line is that of a field that is set or removed.
  private func isEdited(_ line: RawSpan) -> Bool {
    for index in names.indices where line.byteCount > names[index].count {
      let count = names[index].count
      guard line.byte(count) == UInt8(ascii: ":") else { continue }
      var offset = 0
      while offset < count, line.byte(offset).asciiLowercased == names[index][offset] {
        offset += 1
      }
      if offset == count { return true }
    }
    return false
  }
}
