/// Which line of a file a rule is, and what the rule does, in one word.
public struct DenyMark: Equatable, Sendable {
  /// The line's number, with what the rule does in the two highest bits.
  let word: UInt64

  private static let allows: UInt64 = 1 << 63
  private static let isLegal: UInt64 = 1 << 62

  /// - Parameters:
  ///   - line: The line's number, from 1.
  ///   - allows: Whether the rule is negated.
  ///   - isLegal: Whether what it denies is kept back for legal reasons.
  public init(line: Int, allows: Bool = false, isLegal: Bool = false) {
    word =
      UInt64(max(1, line)) & (Self.isLegal - 1) | (allows ? Self.allows : 0)
      | (isLegal ? Self.isLegal : 0)
  }

  init(word: UInt64) {
    self.word = word
  }

  /// The rule's line, from 1.
  public var line: Int { Int(word & (Self.isLegal - 1)) }
  /// Whether the rule lets pass what rules before it deny.
  public var allows: Bool { word & Self.allows != 0 }
  /// The status of a refusal: 451 for legal reasons (RFC 7725), else 410.
  public var status: Int { word & Self.isLegal != 0 ? 451 : 410 }
}

/// The rule that decides on something: the last one, in the last file, that is about it.
public struct DenyFinding: Equatable, Sendable {
  /// The file's place among the list's files.
  public var file: Int
  public var mark: DenyMark

  public init(file: Int, mark: DenyMark) {
    self.file = file
    self.mark = mark
  }
}
