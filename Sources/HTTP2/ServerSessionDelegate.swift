/// What a stream gives to the frame that is being made.
public enum Filling: Equatable, Sendable {
  /// So many bytes, 1 at least.
  case bytes(Int)
  /// So many bytes, and they are the last ones.
  case last(Int)
  /// Nothing now; `resume` says when to ask again.
  case wait
  /// Nothing any more, although the body is not complete: the stream is reset.
  case broken
}

/// What a session tells the connection that drives it.
///
/// All of it is called from within `receive` or `gather`. What it does in return may be anything but these
/// two.
public protocol ServerSessionDelegate: AnyObject {
  /// A request's head is complete.
  ///
  /// - Parameters:
  ///   - head: as HTTP/1.1 would have it; gone when the call returns. Empty where it was too large.
  ///   - hasBody: whether the client sends more of the request.
  /// - Returns: the place by which the stream is named from now on; nil to refuse it.
  func requestArrived(_ stream: Int32, _ head: RawSpan, hasBody: Bool) -> Int?

  /// Bytes of a request's body; gone when the call returns.
  ///
  /// They count against the client's window until `bodyTaken`.
  func bodyArrived(_ place: Int, _ bytes: RawSpan)

  /// The request's body is complete; trailers are not told.
  func bodyEnded(_ place: Int)

  /// A frame of a stream's body can be sent, and its bytes go to `room`.
  func fill(_ place: Int, _ room: UnsafeMutableRawBufferPointer) -> Filling

  /// The last frame of a stream's answer is made.
  func answerSent(_ place: Int)

  /// The stream is no more, and its place can be given to another.
  ///
  /// - Parameter isComplete: whether both sides had come to their end.
  func streamClosed(_ place: Int, isComplete: Bool)
}
