/// At most 160 bytes in place: room for every binary CID, and no heap.
public struct ShortBytes: Sendable {
  public static let capacity = 160
  /// Writers may store whole words: up to 8 bytes beyond what they count.
  static let slack = 8

  private var storage = InlineArray<168, UInt8>(repeating: 0)
  public private(set) var count = 0

  public init() {}

  /// Lets `body` write the bytes from the start; it returns how many they are, at most `capacity`.
  @inline(__always)
  mutating func fill<E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    var span = storage.mutableSpan
    var written = 0
    // The span's own closures are rethrowing without a type: the error is carried by hand.
    let result: Result<Int, E> = unsafe span.withUnsafeMutableBytes { bytes in
      do throws(E) {
        return .success(unsafe try body(bytes))
      } catch {
        return .failure(error)
      }
    }
    written = try result.get()
    precondition(written >= 0 && written <= Self.capacity)
    count = written
  }

  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe storage.span.bytes.extracting(0..<count) }
  }
}
