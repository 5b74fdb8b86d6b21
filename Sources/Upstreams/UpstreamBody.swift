internal import Base
public import HTTP
internal import HTTP1

/// Where the body of a request to an upstream comes from.
///
/// Asked on the worker's thread when the server takes more; what it gave cannot be had again, so that its
/// request is not repeated from then on.
open class UpstreamBody {
  public init() {}

  /// Gives bytes into room for at least one.
  ///
  /// After `.pause`, `UpstreamCall.bodyReadable()` has it asked again. It may cancel its call.
  open func pull(into room: UnsafeMutableRawBufferPointer) -> BodyPull { .end }
}

/// A request's body on its way to one server: one piece at a time is in memory, framed as the head says.
final class BodySender {
  enum Next: Equatable {
    /// So many bytes of body stand in the output.
    case bytes(Int)
    case pause
    /// All of it has been pulled; a chunked one's last line stands in the output.
    case end
    case broken(Fault)
  }

  /// What a piece's framing takes: four digits and a line's end before it, another one behind it.
  private static let before = 6
  private static let behind = 2
  /// The largest piece: with its framing 64 KiB, which `before` has digits enough for.
  static let pieceBytes = (64 << 10) - before - behind

  private let source: UpstreamBody
  private let isChunked: Bool
  /// Bytes still to come where that is known.
  private var remaining: Int64
  /// Whether the server is to say first that it wants the body (RFC 9110, 10.1.1).
  var awaitsContinue: Bool
  /// Whether all of it has been pulled.
  private(set) var hasEnded: Bool

  init(_ source: UpstreamBody, _ framing: BodyFraming, awaitsContinue: Bool) {
    self.source = source
    self.awaitsContinue = awaitsContinue
    switch framing {
    case .length(let length): (isChunked, remaining) = (false, length)
    case .chunked, .none, .untilClose: (isChunked, remaining) = (true, 0)
    }
    hasEnded = !isChunked && remaining == 0
  }

  /// Puts the next piece into the output, which must be empty.
  func next(into output: inout ByteBuffer) -> Next {
    if hasEnded { return .end }
    let most = isChunked ? Self.pieceBytes : Int(min(Int64(Self.pieceBytes), remaining))
    var pull = BodyPull.pause
    let start = isChunked ? Self.before : 0
    _ = unsafe output.fill(atLeast: Self.before + Self.pieceBytes + Self.behind) { tail in
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: tail[start..<start + most])
      pull = unsafe source.pull(into: room)
      guard case .bytes(let count) = pull else { return 0 }
      if isChunked { unsafe Self.frame(count, in: tail) }
      return isChunked ? start + count + Self.behind : count
    }
    switch pull {
    case .bytes(let count):
      if isChunked {
        output.consume(Self.before - Self.digits(count) - 2)
      } else {
        remaining -= Int64(count)
        hasEnded = remaining == 0
      }
      return .bytes(count)
    case .pause: return .pause
    case .broken(let fault): return .broken(fault)
    case .end:
      // Less than was promised cannot be told from the next request.
      guard isChunked else { return .broken(Fault(.closed, .client)) }
      hasEnded = true
      output.append("0\r\n\r\n")
      return .end
    }
  }

  private static func digits(_ count: Int) -> Int { String(count, radix: 16).utf8.count }

  /// Writes a chunk's size right before its bytes, and the line's end behind them (RFC 9112, 7.1).
  private static func frame(_ count: Int, in tail: UnsafeMutableRawBufferPointer) {
    let size = Array("\(String(count, radix: 16))\r\n".utf8)
    unsafe UnsafeMutableRawBufferPointer(rebasing: tail[(before - size.count)...])
      .copyBytes(from: size)
    unsafe UnsafeMutableRawBufferPointer(rebasing: tail[(before + count)...])
      .copyBytes(from: [0x0d, 0x0a])
  }
}
