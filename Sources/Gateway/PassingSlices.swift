internal import Base
internal import Cache
internal import Synchronization

/// Which of the slices that are read from the disk are worth their memory.
///
/// The kernel takes pages that were used twice for often used, and a check and a `sendfile` are two uses:
/// a client who walks through more than fits would drive out what others ask for all the time. So a slice
/// stays in memory only if it was read before, not longer ago than memory could have kept it, or if
/// somebody found it there meanwhile; all others go when their answer has been sent. Before so much was
/// read that memory may be full of it, everything stays.
///
/// Shared by all workers, and asked only where the disk or the kernel is asked. A place may be taken by
/// another slice at any time, which lets one go that could have stayed.
@safe
final class PassingSlices: Sendable {
  private typealias Places = UnsafeMutablePointer<Atomic<UInt64>>

  /// Room for the slices of 64 GiB of memory; 512 KiB.
  private static let places = 1 << 16
  /// Set in a place once its slice was used by more than the one who read it.
  private static let used: UInt64 = 1 << 32

  /// In units of `unitBytes`: half of memory, as other things take of it too.
  private let term: UInt32
  /// Bytes read from the disk in this life.
  private let read = Atomic<UInt64>(0)
  /// Each of 31 bits of the slice's name, whether it was used, and when it was read, in units.
  nonisolated(unsafe) private let entries: Places
  private static let unitBytes: UInt64 = 1 << 16

  /// For so many bytes of memory.
  init(memory: Int) {
    term = UInt32(clamping: UInt64(max(memory, 0)) / 2 / Self.unitBytes)
    unsafe entries = .allocate(capacity: Self.places)
    for place in 0..<Self.places { unsafe (entries + place).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe entries.deinitialize(count: Self.places)
    unsafe entries.deallocate()
  }

  /// Notes that a slice of `count` bytes is read from the disk; whether it is to go after its use.
  func noteReading(of slice: Slice, count: Int) -> Bool {
    let bytes = UInt64(max(count, 0))
    let total = read.wrappingAdd(bytes, ordering: .relaxed).newValue
    let now = UInt32(truncatingIfNeeded: total / Self.unitBytes)
    let (place, name) = Self.place(slice)
    let old = unsafe entries[place].load(ordering: .relaxed)
    let isKnown = old >> 33 == name && now &- UInt32(truncatingIfNeeded: old) <= term
    let stays = isKnown || total / Self.unitBytes <= UInt64(term)
    let entry = name << 33 | (stays ? Self.used : 0) | UInt64(now)
    unsafe entries[place].store(entry, ordering: .relaxed)
    return !stays
  }

  /// Notes that a slice was found in memory.
  func noteUse(of slice: Slice) {
    let (place, name) = Self.place(slice)
    let old = unsafe entries[place].load(ordering: .relaxed)
    guard old >> 33 == name, old & Self.used == 0 else { return }
    // Where another slice takes the place just now, that one stays once too often.
    _ = unsafe entries[place].bitwiseOr(Self.used, ordering: .relaxed)
  }

  /// Whether nobody has had use of a slice since it was read, other than who had it read.
  func isPassing(_ slice: Slice) -> Bool {
    let (place, name) = Self.place(slice)
    let entry = unsafe entries[place].load(ordering: .relaxed)
    return entry >> 33 != name || entry & Self.used == 0
  }

  private static func place(_ slice: Slice) -> (place: Int, name: UInt64) {
    // Fibonacci hashing; offsets are multiples of pages.
    let hash = (UInt64(slice.segment) << 32 | UInt64(slice.offset)) &* 0x9e37_79b9_7f4a_7c15
    return (Int(truncatingIfNeeded: hash >> 48), (hash << 16) >> 33)
  }
}
