/// A growing run of bytes that is filled at the end and consumed at the start.
///
/// It owns its memory and frees it when it goes; a worker keeps and reuses it, so that steady traffic
/// allocates nothing. Consuming everything moves both ends back to the start for free.
@safe
public struct ByteBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacityBytes: Int
  @usableFromInline var readOffset = 0
  @usableFromInline var writeOffset = 0

  /// What `malloc` gives anyway: for more it takes its slow way, past its lists of pieces of the same size.
  private static let alignment = 16

  public init(capacity: Int) {
    capacityBytes = max(capacity, 64)
    unsafe base = .allocate(byteCount: capacityBytes, alignment: Self.alignment)
  }

  deinit {
    unsafe base.deallocate()
  }

  public var count: Int { writeOffset - readOffset }
  public var isEmpty: Bool { writeOffset == readOffset }
  public var capacity: Int { capacityBytes }
  /// Bytes that can be added without growing or moving.
  public var freeTail: Int { capacityBytes - writeOffset }

  /// The bytes not yet consumed.
  public var readable: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeStart: base + readOffset, byteCount: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The same, for a buffer that is a class's property: the access lasts for the call.
  @inline(__always)
  public func withReadable<Result, E: Error>(
    _ body: (RawSpan) throws(E) -> Result
  ) throws(E) -> Result {
    try body(readable)
  }

  /// Drops bytes from the front; at most `count` of them.
  public mutating func consume(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= count)
    readOffset += bytes
    if readOffset == writeOffset {
      readOffset = 0
      writeOffset = 0
    }
  }

  /// Drops bytes from the end; at most `count` of them.
  public mutating func dropLast(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= count)
    writeOffset -= bytes
  }

  public mutating func clear() {
    readOffset = 0
    writeOffset = 0
  }

  /// Makes room for this many bytes at the end, by moving or growing.
  @inlinable
  @inline(__always)
  public mutating func reserve(_ bytes: Int) {
    if capacityBytes - writeOffset < bytes { makeRoom(bytes) }
  }

  @inline(never)
  @usableFromInline
  mutating func makeRoom(_ bytes: Int) {
    let held = count
    if capacityBytes - held >= bytes && readOffset > 0 {
      unsafe base.copyMemory(from: base + readOffset, byteCount: held)
    } else {
      var larger = capacityBytes * 2
      while larger - held < bytes { larger *= 2 }
      let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: Self.alignment)
      unsafe moved.copyMemory(from: base + readOffset, byteCount: held)
      unsafe base.deallocate()
      unsafe base = moved
      capacityBytes = larger
    }
    readOffset = 0
    writeOffset = held
  }

  /// Lets `body` fill the free tail; it returns how many bytes it wrote, at most the buffer's count.
  public mutating func fill<E: Error>(
    atLeast bytes: Int = 1, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    reserve(bytes)
    let tail = unsafe UnsafeMutableRawBufferPointer(
      start: base + writeOffset, count: capacityBytes - writeOffset)
    let written = unsafe try body(tail)
    precondition(written >= 0 && written <= tail.count)
    writeOffset += written
    return written
  }

  public mutating func append(_ byte: UInt8) {
    reserve(1)
    unsafe base.storeBytes(of: byte, toByteOffset: writeOffset, as: UInt8.self)
    writeOffset += 1
  }

  // Inlined, so that what a literal's few bytes cost is a few stores.
  @inlinable
  @inline(__always)
  public mutating func append(_ text: StaticString) {
    let bytes = text.utf8CodeUnitCount
    reserve(bytes)
    unsafe (base + writeOffset).copyMemory(from: text.utf8Start, byteCount: bytes)
    writeOffset += bytes
  }

  public mutating func append(_ bytes: RawSpan) {
    reserve(bytes.byteCount)
    unsafe bytes.withUnsafeBytes { source in
      if let start = source.baseAddress {
        unsafe (base + writeOffset).copyMemory(from: start, byteCount: source.count)
      }
    }
    writeOffset += bytes.byteCount
  }

  public mutating func append(_ bytes: [UInt8]) {
    append(bytes.rawBytes)
  }

  // Disfavoured: a literal is a `StaticString`, which is copied without making a `String`.
  @_disfavoredOverload
  public mutating func append(_ text: String) {
    var text = text
    text.makeContiguousUTF8()
    unsafe append(text.utf8.span.bytes)
  }

  /// Appends a number in decimal digits.
  public mutating func append<Number: FixedWidthInteger>(decimal number: Number) {
    if number < 0 { append(0x2d) }
    var rest = number.magnitude
    var digits = 1
    var probe = rest
    while probe >= 10 {
      probe /= 10
      digits += 1
    }
    reserve(digits)
    var offset = writeOffset + digits
    repeat {
      offset -= 1
      let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
      unsafe base.storeBytes(
        of: 0x30 + UInt8(truncatingIfNeeded: digit), toByteOffset: offset, as: UInt8.self)
      rest = quotient
    } while rest != 0
    writeOffset += digits
  }

  /// Appends a number in lower-case hexadecimal digits, without leading zeros.
  public mutating func append(hex number: UInt64) {
    append(String(number, radix: 16))
  }
}
