internal import CLinux

/// What the kernel is told about large pieces of memory.
public enum Memory {
  /// Asks for huge pages under a region that has not been touched yet.
  public static func preferHugePages(_ region: UnsafeMutableRawBufferPointer) {
    unsafe linux_memory_prefer_huge(region.baseAddress, region.count)
  }

  /// Gives the pages of a page-aligned region back to the system; its bytes are lost.
  ///
  /// The addresses stay valid. True where they are zeros now, without a page behind them until they are written; false
  /// where the kernel did not do it, as with memory that is locked.
  @discardableResult
  public static func drop(_ region: UnsafeMutableRawBufferPointer) -> Bool {
    unsafe linux_memory_drop(region.baseAddress, region.count)
  }
}
