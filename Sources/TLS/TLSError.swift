internal import COpenSSL

/// Why certificates, a context or a session cannot be used, for people.
public struct TLSError: Error, Equatable, Sendable {
  /// A clause without its subject: "it holds no certificate".
  public var sentence: String

  public init(_ sentence: String) { self.sentence = sentence }

  /// With OpenSSL's own reason behind it; empties the thread's queue of errors.
  static func latest(_ sentence: String) -> TLSError {
    let reason = reason()
    return TLSError(reason.isEmpty ? sentence : "\(sentence): \(reason)")
  }

  /// Empties the thread's queue of errors, which is nearly always empty.
  @inline(__always)
  static func forget() {
    if ERR_peek_error() != 0 { ERR_clear_error() }
  }

  /// OpenSSL's words for the last error of this thread; empties its queue.
  static func reason() -> String {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return "" }
    return unsafe String(cString: text)
  }
}
