import Base
public import HTTP

/// What the next bytes of a body are.
///
/// The caller acts on it, drops the bytes that it names, and asks again with what is left.
public enum BodyEvent: Sendable {
  /// So many bytes were framing; the rest has to come.
  case needMore(consumed: Int)
  /// After `skip` bytes of framing come `count` bytes of body, at least one; both are consumed.
  case data(skip: Int, count: Int)
  /// The body has ended after so many bytes of framing.
  case end(consumed: Int)
  /// The peer broke the protocol.
  case malformed(StaticString)
}

public typealias ChunkedEvent = BodyEvent

/// The decoder of the chunked transfer coding (RFC 9112, 7.1).
///
/// Extensions and trailers are bounded; the former are dropped. Lines end in CRLF and nothing else.
public struct ChunkedDecoder: Sendable {
  /// The longest extension of one chunk.
  ///
  /// None is in use; the bound keeps small chunks from costing more than they carry.
  private static let extensionBytes = 256
  /// The longest trailer section.
  private static let trailerBytes = 8 << 10

  private enum State {
    case size, extensions, sizeLF, data, dataCR, dataLF
    case trailerStart, trailer, trailerLF, endLF, finished
  }

  private var state = State.size
  private var digits = 0
  private var remaining: Int64 = 0
  /// Bytes of the extension or the trailers so far.
  private var dropped = 0
  /// The lines of the trailer section so far, each with a line feed at its end.
  private var trailers: [UInt8] = []

  public init() {}

  /// The value of a field behind the body; nil where it is not there, or the end has not been read.
  public func trailer(_ token: FieldToken) -> [UInt8]? {
    guard isFinished, token != .other else { return nil }
    let text = trailers.rawBytes
    var start = 0
    while start < text.byteCount {
      let end = text.first(0x0a, from: start, to: text.byteCount)
      let colon = text.first(UInt8(ascii: ":"), from: start, to: end)
      if colon < end, FieldToken.of(text.extracting(start..<colon)) == token {
        return text.bytes(text.trimmed(from: colon + 1, to: end)).array
      }
      start = end + 1
    }
    return nil
  }

  /// Whether the last chunk and the trailers have been read.
  public var isFinished: Bool { state == .finished }

  /// Reads framing up to the next bytes of body, the end, or the end of `bytes`.
  public mutating func decode(_ bytes: RawSpan) -> ChunkedEvent {
    var offset = 0
    while true {
      if state == .finished { return .end(consumed: offset) }
      guard offset < bytes.byteCount else { return .needMore(consumed: offset) }
      if state == .data {
        let count = Int(min(Int64(bytes.byteCount - offset), remaining))
        remaining -= Int64(count)
        if remaining == 0 { state = .dataCR }
        return .data(skip: offset, count: count)
      }
      if let wrong = step(bytes.byte(offset)) { return .malformed(wrong) }
      offset += 1
    }
  }

  /// Takes one byte of framing.
  private mutating func step(_ byte: UInt8) -> StaticString? {
    switch state {
    case .size: return sizeByte(byte)
    case .extensions:
      if byte == 0x0d {
        state = .sizeLF
        return nil
      }
      return drop(byte, "A chunk extension is malformed.", limit: Self.extensionBytes)
    case .sizeLF:
      dropped = 0
      return lineFeed(byte, then: remaining == 0 ? .trailerStart : .data)
    case .dataCR:
      state = .dataLF
      return byte == 0x0d ? nil : "A chunk is longer than its size."
    case .dataLF:
      digits = 0
      return lineFeed(byte, then: .size)
    case .trailerStart:
      if byte == 0x0d {
        state = .endLF
        return nil
      }
      state = .trailer
      trailers.append(byte)
      return drop(byte, "The trailers are malformed.", limit: Self.trailerBytes)
    case .trailer:
      if byte == 0x0d {
        state = .trailerLF
        trailers.append(0x0a)
        return nil
      }
      trailers.append(byte)
      return drop(byte, "The trailers are malformed.", limit: Self.trailerBytes)
    case .trailerLF: return lineFeed(byte, then: .trailerStart)
    case .endLF: return lineFeed(byte, then: .finished)
    case .data, .finished: return nil
    }
  }

  private mutating func sizeByte(_ byte: UInt8) -> StaticString? {
    if let digit = byte.hexValue {
      digits += 1
      guard digits <= 16, remaining <= Int64.max >> 4 else { return "A chunk size is too large." }
      remaining = remaining << 4 | Int64(digit)
      return nil
    }
    guard digits > 0 else { return "A chunk size is missing." }
    switch byte {
    case 0x0d: state = .sizeLF
    case UInt8(ascii: ";"): state = .extensions
    default: return "A chunk size is malformed."
    }
    return nil
  }

  private mutating func lineFeed(_ byte: UInt8, then next: State) -> StaticString? {
    state = next
    return byte == 0x0a ? nil : "A line of a chunked body does not end in CRLF."
  }

  private mutating func drop(
    _ byte: UInt8, _ wrong: StaticString, limit: Int
  ) -> StaticString? {
    dropped += 1
    if byte == 0x7f || (byte < 0x20 && byte != 0x09) { return wrong }
    return dropped > limit ? "A chunked body has too much framing." : nil
  }
}
