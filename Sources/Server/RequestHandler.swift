public import HTTP
public import HTTP1

/// What answers requests: the gateway, the origin, the admin pages.
public protocol RequestHandler: AnyObject {
  /// Called once for each request, on its worker's thread.
  ///
  /// - Parameters:
  ///   - request: the head; its ranges refer to `text`. Both are gone when the call returns.
  ///   - stream: where the answer goes, now or later.
  func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream)

  /// Called where a head is refused; the connection ends after the answer.
  func refuse(_ refusal: Refusal, on stream: ClientStream)
}

/// What produces an answer that is not finished at once.
///
/// Held by its stream from `stream.responder = …` until `finish`, `abort` or `aborted`.
open class Responder {
  public init() {}

  /// The stream takes bytes again: offer more.
  open func writable() {}

  /// The body that was taken may be pulled: there are bytes of it, or its end, or none will come.
  open func bodyReadable() {}

  /// The client has gone, or took nothing for too long; nothing can be sent any more.
  open func aborted() {}
}
