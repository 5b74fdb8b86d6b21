/// What went wrong, whose side it was on, and whether trying again may help.
///
/// Small and trivial: it is stored, compared and passed without allocation. Bad input of a client
/// is a refusal with a sentence (see `HTTP1`); a `Fault` is bad weather.
public struct Fault: Error, Equatable, Sendable {
  public enum Kind: UInt8, Sendable, CaseIterable {
    /// No connection could be made.
    case connect
    /// The peer ended the connection where more was due.
    case closed
    /// The peer reset the connection, or another error of the socket.
    case reset
    /// The peer let a deadline pass.
    case timeout
    /// The peer broke the protocol.
    case malformed
    /// What arrived is not what was asked for (length, CID, Etag).
    case mismatch
    /// A system call on a file failed.
    case io
    /// No space, descriptor, memory or slot is left.
    case exhausted
    /// A stored thing does not read back as it was written.
    case corrupt
    /// The work was given up because nobody wants it any more.
    case cancelled
    /// No server is left that could be asked.
    case unavailable
  }

  public enum Side: UInt8, Sendable {
    case client, upstream, disk, own
  }

  /// Whether the same step may be tried again.
  public enum Retry: UInt8, Sendable {
    case never
    /// Only where the connection had been used before: the peer may have closed it meanwhile.
    case ifReused
    case yes
  }

  public var kind: Kind
  public var side: Side
  public var retry: Retry
  /// The system's error number, 0 where there is none.
  public var errno: Int32

  public init(_ kind: Kind, _ side: Side, retry: Retry = .never, errno: Int32 = 0) {
    self.kind = kind
    self.side = side
    self.retry = retry
    self.errno = errno
  }

  /// The status that a client gets where nothing has been sent yet (RFC 9110, section 15).
  public var status: Int {
    switch kind {
    case .connect, .closed, .reset, .malformed, .mismatch: 502
    case .timeout: 504
    case .io, .corrupt: 500
    case .exhausted, .unavailable: 503
    case .cancelled: 499
    }
  }

  /// A stable name for logs and metrics.
  public var name: String { "\(side)_\(kind)" }
}
