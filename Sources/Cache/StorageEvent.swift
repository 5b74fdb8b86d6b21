public import Base

/// Something about the storage as a whole that an operator should read in the log.
public enum StorageEvent: Equatable, Sendable {
  /// An index could not be used, and lies under that name until the next start.
  case setAside(Index.SetAside)
  /// The index cannot be used any more: nothing is kept, and nothing found, until it is opened again.
  case closed(Fault)
  /// The cache's folder is not where it was: it is made anew.
  case vanished
  /// The cache could not be opened again; that is tried on.
  case unopened(Fault)
  /// The cache is in use again.
  case reopened
  /// There is no room for another segment on the disk, which others fill: the oldest content makes room, or
  /// nothing is kept where that is not enough.
  case full(free: Int?, isKeeping: Bool)
  /// The disk has room again after that.
  case roomy
  /// The disk has no room for all that the index may grow to: it may be refused some day.
  case unreserved(Index.Shortage)
}
