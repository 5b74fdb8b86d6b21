/// One thing that is wrong in a configuration file, and where.
public struct Complaint: Equatable, Sendable, CustomStringConvertible {
  public let file: String
  /// Counted from 1.
  public let line: Int
  /// Counted from 1, in Unicode scalars.
  public let column: Int
  /// What is wrong and what is expected, in one sentence without a full stop.
  public let message: String

  /// `gateway.conf:14:5: what is wrong`, as compilers write it.
  public var description: String { "\(file):\(line):\(column): \(message)" }
}

/// Everything that is wrong in a configuration file, in the file's order; never empty.
public struct Complaints: Error, Equatable, Sendable, CustomStringConvertible {
  public let list: [Complaint]

  /// One complaint a line.
  public var description: String { list.map(\.description).joined(separator: "\n") }
}
