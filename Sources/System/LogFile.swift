public import Base
import CLinux

/// A file that is only ever appended to, or one of the process' standard streams.
///
/// Its write may wait (a slow disk, a full pipe), so it is for threads that may.
public struct LogFile: ~Copyable, Sendable {
  private let file: File

  /// Opens for appending, and makes the file (readable by its group) where it is missing.
  public init(appendingTo path: String) throws(Fault) {
    file = File(owning: Int32(try Self.checked(unsafe linux_open_append(path))))
  }

  /// Takes a descriptor over.
  public init(owning descriptor: Int32) {
    file = File(owning: descriptor)
  }

  public static func standardOutput() throws(Fault) -> LogFile {
    LogFile(owning: Int32(try checked(linux_duplicate(1))))
  }

  public static func standardError() throws(Fault) -> LogFile {
    LogFile(owning: Int32(try checked(linux_duplicate(2))))
  }

  /// Gives the descriptor away; whoever takes it closes it.
  public consuming func release() -> Int32 {
    file.release()
  }

  /// Whether the file has no name any more, so that nobody can open what is written to it.
  public var isUnlinked: Bool { linux_links(file.descriptor) == 0 }

  /// Writes all bytes, or throws; some may have been written then.
  public func write(_ bytes: RawSpan) throws(Fault) {
    let errno = writeAsMuchAsGoes(bytes).errno
    if errno != 0 { throw Fault(.io, .disk, errno: errno) }
  }

  /// Writes bytes until all are written or the system refuses.
  ///
  /// - Returns: How many were written, and the system's error number; 0 where it is all of them.
  public func writeAsMuchAsGoes(_ bytes: RawSpan) -> (count: Int, errno: Int32) {
    var errno: Int32 = 0
    let count = unsafe bytes.withUnsafeBytes { source in
      unsafe linux_write_all(file.descriptor, source.baseAddress, source.count, &errno)
    }
    return (Int(count), errno)
  }

  /// Waits until what was written is on the disk (fdatasync, 2).
  public func sync() throws(Fault) { try file.sync() }

  private static func checked(_ result: Int64) throws(Fault) -> Int64 {
    if result < 0 { throw Fault(.io, .disk, errno: Int32(truncatingIfNeeded: -result)) }
    return result
  }
}
