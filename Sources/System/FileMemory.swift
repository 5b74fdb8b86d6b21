public import Base
import CLinux

extension FileReference {
  /// Waits until a range is in memory, and leaves it to its first use to count as one.
  ///
  /// A read counts as a use too. The kernel takes pages that were used twice for often used, and what is
  /// read ahead of one `sendfile` would drive out what really is. False where the kernel cannot (before
  /// Linux 5.14) or the disk does not give the bytes; a read then says more.
  public func bringIn(offset: Int, count: Int) -> Bool {
    guard offset >= 0, count > 0 else { return count == 0 }
    return linux_bring_in(descriptor, UInt64(offset), UInt64(count)) == 0
  }

  /// Has the kernel read what is asked for, and nothing ahead of it (posix_fadvise, POSIX_FADV_RANDOM).
  ///
  /// What it reads ahead by itself may be megabytes, which nobody waits for and which stay.
  public func readAtRandom() {
    _ = linux_read_at_random(descriptor)
  }

  /// Has a range read into memory, and does not wait for it (posix_fadvise, POSIX_FADV_WILLNEED).
  public func willNeed(offset: Int, count: Int) {
    guard offset >= 0, count > 0 else { return }
    _ = linux_will_need(descriptor, UInt64(offset), UInt64(count))
  }

  /// Drops the whole pages of a range from memory, if nobody uses them (posix_fadvise, POSIX_FADV_DONTNEED).
  ///
  /// May wait for other cores. Those in use, as in a socket's queue, are the next to be dropped.
  public func letGo(offset: Int, count: Int) {
    guard offset >= 0, count > 0 else { return }
    _ = linux_let_go(descriptor, UInt64(offset), UInt64(count))
  }
}

extension File {
  /// Lets the kernel see which pages of this process's maps of the file are in use.
  ///
  /// For a map said to be read at random (madvise(2), MADV_RANDOM) it does not look since Linux 6.3, and
  /// drops its pages first, however often they are used.
  public func keepMapped() throws(Fault) {
    let inode = linux_inode(descriptor)
    let result = inode < 0 ? inode : linux_keep_mapped(UInt64(inode))
    if result < 0 { throw Fault(.io, .disk, errno: Int32(truncatingIfNeeded: -result)) }
  }
}
