internal import Base
internal import Telemetry

/// A JSON value (RFC 8259); an object's members in their order.
public indirect enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  /// A number without fraction and exponent.
  case integer(Int)
  /// Any other number; finite.
  case real(Double)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// A member of an object.
  public struct Member: Equatable, Sendable {
    public var name: String
    public var value: JSONValue

    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// An object of members in their order.
  public static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
    .object(members.map { Member($0.key, $0.value) })
  }

  /// The member of a name; nil where this is no object, or has none.
  public subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The text; nil where this is no string.
  public var string: String? {
    if case .string(let text) = self { return text }
    return nil
  }

  /// The number; nil where this is none that is whole.
  public var integer: Int? {
    if case .integer(let number) = self { return number }
    return nil
  }

  /// The number; nil where this is none.
  public var real: Double? {
    switch self {
    case .integer(let number): Double(number)
    case .real(let number): number
    default: nil
    }
  }

  public var bool: Bool? {
    if case .bool(let value) = self { return value }
    return nil
  }

  /// The elements; none where this is no array.
  public var elements: [JSONValue] {
    if case .array(let elements) = self { return elements }
    return []
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
}

// MARK: - Writing

extension JSONValue {
  /// The value as text, on one line.
  public var text: [UInt8] {
    var output = ByteBuffer(capacity: 1024)
    write(to: &output, indent: nil)
    return output.readable.array
  }

  /// The value as text, a line for each member and element.
  public var lines: String {
    var output = ByteBuffer(capacity: 4096)
    write(to: &output, indent: 0)
    return output.readable.text
  }

  private func write(to output: inout ByteBuffer, indent: Int?) {
    switch self {
    case .null: output.append("null")
    case .bool(let value): output.append(value ? "true" as StaticString : "false")
    case .integer(let number): output.append(decimal: number)
    case .real(let number): output.append(number.isFinite ? "\(number)" : "null")
    case .string(let text): Self.write(text, to: &output)
    case .array(let elements):
      Self.write(elements.count, in: ("[", "]"), to: &output, indent) { index, output, indent in
        elements[index].write(to: &output, indent: indent)
      }
    case .object(let members):
      Self.write(members.count, in: ("{", "}"), to: &output, indent) { index, output, indent in
        Self.write(members[index].name, to: &output)
        output.append(indent == nil ? ":" as StaticString : ": ")
        members[index].value.write(to: &output, indent: indent)
      }
    }
  }

  private static func write(_ text: String, to output: inout ByteBuffer) {
    output.append("\"")
    output.append(jsonEscaping: Array(text.utf8).rawBytes)
    output.append("\"")
  }

  private static func write(
    _ count: Int, in marks: (StaticString, StaticString), to output: inout ByteBuffer,
    _ indent: Int?, _ item: (Int, inout ByteBuffer, Int?) -> Void
  ) {
    func newLine(_ depth: Int, _ output: inout ByteBuffer) {
      output.append("\n")
      for _ in 0..<depth { output.append("  ") }
    }
    output.append(marks.0)
    for index in 0..<count {
      if index > 0 { output.append(",") }
      if let indent { newLine(indent + 1, &output) }
      item(index, &output, indent.map { $0 + 1 })
    }
    if let indent, count > 0 { newLine(indent, &output) }
    output.append(marks.1)
  }
}
