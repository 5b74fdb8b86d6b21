public import Base
import CLinux

/// The clocks of the machine; only loops and threads read them.
public enum Clock {
  /// The monotonic clock, to the nanosecond.
  public static var now: Instant { Instant(nanoseconds: linux_monotonic_nanos()) }

  /// The monotonic clock as of the last tick (1 to 4 ms late), for a third of the cost.
  public static var coarseNow: Instant { Instant(nanoseconds: linux_monotonic_coarse_nanos()) }

  /// Seconds since 1970 (UTC).
  public static var wallSeconds: Int64 { linux_wall_seconds() }
}

/// Bytes from the kernel's generator.
public enum SystemRandom {
  /// Fills with random bytes (getrandom, 2).
  ///
  /// Throws where the kernel refuses, which it does not after boot.
  public static func bytes(_ count: Int) throws(Fault) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe linux_getrandom(buffer.baseAddress.map { unsafe $0 + filled }, count - filled)
      }
      filled += Int(try checked(got, .own))
    }
    return bytes
  }
}

/// A result of a C wrapper, or the fault that a negative one stands for.
@discardableResult
func checked(_ result: Int64, _ side: Fault.Side = .disk) throws(Fault) -> Int64 {
  if result < 0 { throw Fault(.io, side, errno: Int32(truncatingIfNeeded: -result)) }
  return result
}
