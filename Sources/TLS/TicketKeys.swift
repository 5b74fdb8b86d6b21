internal import COpenSSL
internal import Synchronization

/// The keys of session tickets, the same for all workers (RFC 5077, section 4; RFC 8446, section 4.6.1).
///
/// A ticket is a session that the client keeps for the server, encrypted; so any worker can go on with it.
/// Keys are made anew by `rotate`, and old ones open tickets for as long as those count. They live in memory
/// alone: after a restart clients make full handshakes.
public final class TicketKeys: Sendable {
  struct Key {
    var name: InlineArray<16, UInt8>
    var cipher: InlineArray<32, UInt8>
    var mac: InlineArray<32, UInt8>

    /// Nil where the system has no random bytes.
    init?() {
      name = InlineArray(repeating: 0)
      cipher = InlineArray(repeating: 0)
      mac = InlineArray(repeating: 0)
      var span = name.mutableSpan
      guard Self.fill(&span) else { return nil }
      span = cipher.mutableSpan
      guard Self.fill(&span) else { return nil }
      span = mac.mutableSpan
      guard Self.fill(&span) else { return nil }
    }

    private static func fill(_ span: inout MutableSpan<UInt8>) -> Bool {
      unsafe span.withUnsafeMutableBufferPointer { room in
        unsafe RAND_bytes(room.baseAddress, Int32(clamping: room.count)) == 1
      }
    }
  }

  /// How long a key makes tickets.
  public static let term: Int64 = 3600
  /// How long a ticket counts, in seconds.
  public static let ticketLife = 4 * term
  /// The one in use, and those whose last ticket still counts.
  static let kept = Int(ticketLife / term) + 1

  private struct State {
    var keys: [Key] = []
    var made: Int64 = 0
  }

  private let state = Mutex(State())

  /// - Parameter now: Seconds of any clock that does not go back.
  public init(now: Int64) { _ = rotate(at: now) }

  /// Makes a new key where the present one has served its term; whether it did.
  ///
  /// Where the system has no random bytes, the old key stays; without any, there are no tickets.
  @discardableResult
  public func rotate(at now: Int64) -> Bool {
    let isDue = state.withLock { $0.keys.isEmpty || now - $0.made >= Self.term }
    guard isDue, let key = Key() else { return false }
    state.withLock {
      // After a long sleep the oldest would count for too long.
      let age = ($0.keys.isEmpty ? 0 : now - $0.made) / Self.term
      let left = max(0, Self.kept - Int(clamping: max(age, 1)))
      $0.keys = [key] + $0.keys.prefix(left)
      $0.made = now
    }
    return true
  }

  /// The key for new tickets; nil where there is none.
  func current() -> Key? { state.withLock { $0.keys.first } }

  /// The key of a ticket, and whether it is the present one; nil where it is no longer known.
  func find(_ name: InlineArray<16, UInt8>) -> (key: Key, isCurrent: Bool)? {
    state.withLock { state in
      for (index, key) in state.keys.enumerated() where Self.equal(key.name, name) {
        return (key, index == 0)
      }
      return nil
    }
  }

  private static func equal(
    _ left: InlineArray<16, UInt8>, _ right: InlineArray<16, UInt8>
  ) -> Bool {
    for index in 0..<16 where left[index] != right[index] { return false }
    return true
  }
}
