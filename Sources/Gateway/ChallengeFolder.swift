internal import Base
internal import System

/// The answers to an authority's challenges, as a client of it (certbot, lego) leaves them in a folder, in
/// its webroot mode (RFC 8555, section 8.3).
struct ChallengeFolder: Sendable {
  static let prefix: StaticString = "/.well-known/acme-challenge/"
  /// A key authorization has some ninety bytes (RFC 8555, section 8.1).
  static let mostBytes = 4096
  /// Tokens have some forty.
  static let longestToken = 256

  /// As webroot has it: the challenges lie in `.well-known/acme-challenge` below.
  let path: String

  /// The file of a token; nil where it is none, which must be base64url's characters alone.
  func file(of token: RawSpan) -> String? {
    guard (1...Self.longestToken).contains(token.byteCount) else { return nil }
    for offset in 0..<token.byteCount where !Self.isTokenByte(token.byte(offset)) { return nil }
    return path + "/.well-known/acme-challenge/" + String(decoding: token.array, as: UTF8.self)
  }

  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// Reads a challenge; nil where there is none, or something else than a small file.
  ///
  /// Blocks on the disk.
  static func read(_ path: String) -> [UInt8]? {
    do throws(Fault) {
      let file = try File(path: path, .plain)
      let size = try file.size()
      guard size <= mostBytes else { return nil }
      var bytes = ByteBuffer(capacity: mostBytes)
      _ = try unsafe bytes.fill(atLeast: mostBytes) { room throws(Fault) in
        try unsafe file.read(at: 0, into: .init(rebasing: room[..<mostBytes]))
      }
      return bytes.withReadable { $0.array }
    } catch {
      return nil
    }
  }
}
