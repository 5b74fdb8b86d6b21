internal import CLinux

extension Clock {
  /// Wall time: seconds since 1970 and milliseconds within the second, as fine as the kernel's tick.
  public static func wall() -> (seconds: Int64, milliseconds: Int) {
    let nanoseconds = linux_wall_nanos()
    let seconds = nanoseconds / 1_000_000_000
    return (seconds, Int((nanoseconds - seconds * 1_000_000_000) / 1_000_000))
  }
}
