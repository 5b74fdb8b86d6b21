public import Base

/// The room in which all sessions of one thread encrypt and decrypt.
///
/// What a session cannot get rid of at once it keeps in a buffer of its own, so idle ones hold nothing
/// here and many take turns.
public final class TLSBuffers {
  /// Records that a session has made and that are not given to the socket yet.
  ///
  /// Empty between two calls of whoever drives sessions. Grows to what one call makes: plaintext of
  /// `TLSSession.mostPlaintext`, or a handshake's flight.
  public var output = ByteBuffer(capacity: TLSSession.mostPlaintext + 64 * 1024)
  /// Where ciphertext is received.
  public var input = ByteBuffer(capacity: inputBytes)
  /// Where plaintext is put together.
  public var plain = ByteBuffer(capacity: 16 * 1024)

  /// Two full records with what is around them; a larger read saves nothing where records are read one by one.
  public static let inputBytes = 64 * 1024

  public init() {}
}
