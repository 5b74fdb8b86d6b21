/// Frames of one connection that are to be sent in one write, of a fixed size.
///
/// A class, since a worker lends few of them to many connections: one has it while it gathers, and keeps it
/// only as long as its socket takes less than was gathered.
@safe
public final class FrameBuffer {
  /// What a connection may hold for a client that reads slowly, and what one write takes at most.
  public static let bytes = 128 << 10
  /// A frame with its head (RFC 9113, section 4.1), of the size that every peer takes.
  static let frameBytes = headBytes + 16384
  static let headBytes = 9

  private let base: UnsafeMutableRawPointer
  private var start = 0
  private var end = 0

  public init() {
    unsafe base = .allocate(byteCount: Self.bytes, alignment: 64)
  }

  deinit {
    unsafe base.deallocate()
  }

  public var isEmpty: Bool { start == end }
  public var count: Int { end - start }

  /// Whether another frame of data fits, and behind it one that cannot be put off.
  public var takesFrame: Bool { Self.bytes - end >= 2 * Self.frameBytes }

  /// What is still to be sent.
  public var readable: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeStart: base + start, byteCount: end - start)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Drops what was sent; at most `count`.
  public func consume(_ sent: Int) {
    precondition(sent >= 0 && sent <= count)
    start += sent
    if start == end {
      start = 0
      end = 0
    }
  }

  func append(_ frame: UnsafeRawPointer, _ count: Int) {
    precondition(count >= 0 && count <= Self.bytes - end)
    unsafe (base + end).copyMemory(from: frame, byteCount: count)
    end += count
  }

  /// Where the payload of the next frame goes; used up at once by `commit`, before anything is appended.
  func room(_ count: Int) -> UnsafeMutableRawBufferPointer {
    precondition(Self.headBytes + count <= Self.bytes - end)
    return unsafe UnsafeMutableRawBufferPointer(start: base + end + Self.headBytes, count: count)
  }

  /// Puts the head of a frame in front of the payload that lies in its `room`.
  func commit(head: UnsafeRawPointer, payload: Int) {
    precondition(Self.headBytes + payload <= Self.bytes - end)
    unsafe (base + end).copyMemory(from: head, byteCount: Self.headBytes)
    end += Self.headBytes + payload
  }
}
