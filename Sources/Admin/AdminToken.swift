internal import Base
internal import Synchronization
internal import System

/// The text that changes need, in a file; read again when the file has changed.
public final class AdminToken: Sendable {
  /// Why a file holds no token.
  public struct Unusable: Error, Equatable, Sendable {
    public var sentence: String
  }

  /// Shorter ones can be guessed.
  static let minimumBytes = 16
  /// Longer ones are some other file.
  static let maximumBytes = 512

  private let path: String
  private let last = Mutex<(mark: FileMark, token: [UInt8])?>(nil)

  public init(path: String) { self.path = path }

  /// The token as the file has it now; waits for the disk where the file has changed.
  public func current() throws(Unusable) -> [UInt8] {
    do throws(Fault) {
      let file = try File(path: path, .read)
      let mode = try file.mode()
      guard mode & 0o006 == 0 else {
        throw Fault(.mismatch, .own)
      }
      let mark = try file.mark()
      if let last = last.withLock({ $0 }), last.mark == mark { return last.token }
      var bytes = ByteBuffer(capacity: 2 * Self.maximumBytes)
      _ = try unsafe bytes.fill(atLeast: 2 * Self.maximumBytes) { room throws(Fault) in
        try unsafe file.read(at: 0, into: room)
      }
      guard let token = Self.token(bytes.readable.array) else { throw Fault(.malformed, .own) }
      last.withLock { $0 = (mark, token) }
      return token
    } catch {
      switch error.kind {
      case .mismatch:
        throw Unusable(sentence: "\(path) is open to everybody on this machine: chmod o-rw it")
      case .malformed:
        throw Unusable(
          sentence: "\(path) has to hold one line of \(Self.minimumBytes) to "
            + "\(Self.maximumBytes) letters, digits and signs")
      default: throw Unusable(sentence: "\(path): \(SystemError.text(error.errno))")
      }
    }
  }

  /// The token of a file's bytes: one line of printable ASCII without blanks; nil for anything else.
  static func token(_ bytes: [UInt8]) -> [UInt8]? {
    var token = bytes[...]
    while let last = token.last, last == 0x0a || last == 0x0d || last == 0x20 { token.removeLast() }
    guard (minimumBytes...maximumBytes).contains(token.count),
      token.allSatisfy({ (0x21...0x7e).contains($0) })
    else { return nil }
    return Array(token)
  }

  /// Whether bytes are the token, in a time that does not tell how many of them are.
  static func isSame(_ given: RawSpan, _ token: [UInt8]) -> Bool {
    var difference: UInt8 = given.byteCount == token.count ? 0 : 1
    for offset in 0..<given.byteCount where !token.isEmpty {
      difference |= given.byte(offset) ^ token[offset % token.count]
    }
    return difference == 0 && !token.isEmpty
  }
}
