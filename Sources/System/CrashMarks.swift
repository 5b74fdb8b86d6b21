public import Base
import CLinux

/// Deaths of the process by its own fault, counted in a file: a byte for each.
///
/// For whoever must know after a few of them that what they have opened may be what kills them.
public enum CrashMarks {
  /// Has each fatal signal within `time` from now (SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE)
  /// append a byte to a file before it ends the process.
  ///
  /// An end by another signal leaves no mark. Another call changes file and time; to be made before
  /// there are other threads. Throws where the path is too long.
  public static func leave(at path: String, for time: Interval) throws(Fault) {
    let result = unsafe linux_mark_crashes(path, time.nanoseconds)
    if result < 0 { throw Fault(.io, .disk, errno: Int32(clamping: -result)) }
  }

  /// How many there are; none where the file cannot be read.
  public static func count(at path: String) -> Int {
    do throws(Fault) {
      return try File(path: path, .read).size()
    } catch {
      return 0
    }
  }
}
