public import Base
public import HTTP

/// Who asked an upstream: takes the answer as it arrives.
///
/// Everything is called on the worker's thread, never from within the call's `start`, `resume` or
/// `cancel`. The last call is `finished` or `failed`; after `cancel` there is none.
open class UpstreamConsumer {
  public init() {}

  /// Whether an answer may be meant for what was asked; asked before `received`.
  ///
  /// Where it is not, another server is asked if there is one, and counts as the better one if its answer is
  /// accepted; else the answer is handed over all the same.
  open func accepts(_ head: ResponseHead, text: RawSpan) -> Bool { true }

  /// The answer's head has come (interim ones, 1xx, are left out).
  ///
  /// The head's ranges refer to `text`; both are gone when the call returns.
  open func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {}

  /// Bytes of the body are there: call `read` with room for them.
  ///
  /// `read` fills the room from its start and returns how many bytes it wrote, 0 where there were
  /// none after all. Return false where there is no room now: reading pauses until
  /// `UpstreamCall.resume()`; leaving everything says the same. What was read counts in both cases.
  open func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool { false }

  /// The body is complete by its framing.
  ///
  /// `lengthKnown` is false where only the connection's end told so: it may have been cut off.
  open func finished(lengthKnown: Bool) {}

  /// There is no answer, or no more of it.
  open func failed(_ fault: Fault) {}
}
