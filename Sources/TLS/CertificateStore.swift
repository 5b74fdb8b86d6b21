internal import Base
internal import Synchronization
internal import System

/// A server's certificates as they are now: read from files, and again when these change.
///
/// Handshakes on all workers take `current`; one thread that may wait looks at the files. A change is taken
/// whole or not at all: what cannot be used leaves the old certificates where they are.
public final class CertificateStore: Sendable {
  /// What came of a look.
  public enum Finding: Equatable, Sendable {
    /// So many certificates are in use from now on.
    case used(Int)
    /// What was there before stays, and why.
    case unusable(String)
  }

  /// What an operator may set.
  public struct Options: Sendable {
    /// At least one; the first is for clients that ask for no name, or for one that nobody has.
    public var certificates: [CertificateFiles]
    public var minVersion: TLSVersion
    /// What is offered (ALPN), the best first.
    public var protocols: [String]

    public init(
      certificates: [CertificateFiles], minVersion: TLSVersion = .tls12,
      protocols: [String] = ["http/1.1"]
    ) {
      self.certificates = certificates
      self.minVersion = minVersion
      self.protocols = protocols
    }
  }

  private struct Watch: Sendable {
    /// The marks of the files that were dealt with last, well or badly.
    var dealt: [FileMark]
    /// What the last look found, where it was neither.
    var seen: [FileMark]?
    var complaint: String?
    /// The files of OCSP answers that have ended, and are told of.
    var ended: [String] = []
  }

  private let options: Options
  private let tickets: TicketKeys
  private let inUse: Mutex<ServerCertificates>
  private let watch: Mutex<Watch>
  private let swapCount = Atomic<Int>(0)
  private let failureCount = Atomic<Int>(0)
  private let endedCount = Atomic<Int>(0)

  /// Reads everything, or throws with what is wrong.
  ///
  /// - Parameters:
  ///   - now: Seconds of a clock that does not go back.
  ///   - wall: Seconds since 1970.
  public init(_ options: Options, now: Int64, wall: Int64) throws(TLSError) {
    self.options = options
    tickets = TicketKeys(now: now)
    // Before the files are read: what changes meanwhile is seen by the next look.
    let marks = try Self.marks(options)
    inUse = Mutex(
      try ServerCertificates(
        options.certificates, from: options.minVersion, protocols: options.protocols,
        tickets: tickets, at: wall))
    watch = Mutex(Watch(dealt: marks))
  }

  /// What new connections use.
  public var current: ServerCertificates { inUse.withLock { $0 } }

  /// Changes that were taken, and those that could not be.
  public var swaps: Int { swapCount.load(ordering: .relaxed) }
  public var failures: Int { failureCount.load(ordering: .relaxed) }

  /// OCSP answers that have ended and are not stapled, as `lookAtStaples` last found.
  public var endedStaples: Int { endedCount.load(ordering: .relaxed) }

  /// Makes a new key for session tickets where it is time.
  public func rotateTickets(at now: Int64) { tickets.rotate(at: now) }

  /// Looks whether a file is another than before, and reads all once they have stopped changing.
  ///
  /// Blocks on the disk. Nil where there is nothing to tell; a complaint is told once.
  ///
  /// - Parameter wall: Seconds since 1970.
  public func look(at wall: Int64) -> Finding? {
    watch.withLock { watch in
      let marks: [FileMark]
      do throws(TLSError) {
        marks = try Self.marks(options)
      } catch {
        watch.seen = nil
        return complain(error.sentence, &watch)
      }
      if marks == watch.dealt {
        // What was lost is back: it may be lost again.
        watch.seen = nil
        watch.complaint = nil
        return nil
      }
      guard marks == watch.seen else {
        // A certificate and its key are two files, and somebody may be between them.
        watch.seen = marks
        return nil
      }
      watch.dealt = marks
      do throws(TLSError) {
        let new = try ServerCertificates(
          options.certificates, from: options.minVersion, protocols: options.protocols,
          tickets: tickets, at: wall)
        inUse.withLock { $0 = new }
        swapCount.add(1, ordering: .relaxed)
        watch.complaint = nil
        return .used(new.count)
      } catch {
        watch.complaint = nil
        return complain(error.sentence, &watch)
      }
    }
  }

  /// Takes OCSP answers out of use whose time has passed; the files of those that are not told of yet.
  ///
  /// A file that is replaced comes back into use by `look`.
  ///
  /// - Parameter wall: Seconds since 1970.
  public func lookAtStaples(at wall: Int64) -> [String] {
    let ended = current.note(wall)
    endedCount.store(ended.count, ordering: .relaxed)
    return watch.withLock { watch in
      defer { watch.ended = ended }
      return ended.filter { !watch.ended.contains($0) }
    }
  }

  private func complain(_ why: String, _ watch: inout Watch) -> Finding? {
    guard why != watch.complaint else { return nil }
    watch.complaint = why
    failureCount.add(1, ordering: .relaxed)
    return .unusable(why)
  }

  private static func marks(_ options: Options) throws(TLSError) -> [FileMark] {
    var marks: [FileMark] = []
    for path in options.certificates.flatMap(\.all) {
      do throws(Fault) {
        marks.append(try File(path: path, .read).mark())
      } catch {
        throw TLSError("\(path): \(SystemError.text(error.errno))")
      }
    }
    return marks
  }
}
