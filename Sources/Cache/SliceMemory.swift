internal import Synchronization
internal import System

/// The memory of slice buffers, kept for the next ones.
///
/// Memory fresh from the system costs a page fault for each 4 KiB: for a large download more than all
/// else together. So addresses are never given back, and pages only when nobody has needed them
/// for a while (`trim`). Sizes are powers of two, since an object's last slice has any length. One lock,
/// taken twice a slice.
enum SliceMemory {
  /// Smaller buffers are the allocator's own business.
  private static let smallest = 8 << 10
  /// The largest slice.
  private static let largest = 64 << 20
  /// What is taken from the system at once.
  private static let chunk = 2 << 20
  /// Buffers from here on lie in huge pages: fewer faults, and less for a disk's own reads to look up.
  private static let huge = 1 << 20

  private struct Shelf {
    /// Idle, latest last: the one used last is the likeliest to be in the processor's caches.
    var warm: [UInt] = []
    /// Idle, and without pages.
    var cold: [UInt] = []
    /// The fewest that were warm at a time since the last trim.
    var lowest = 0
  }

  private static let shelves = Mutex(
    [Shelf](repeating: Shelf(), count: shelf(for: largest) + 1))

  private static func shelf(for count: Int) -> Int {
    let above = max(0, count - 1) / smallest
    return Int.bitWidth - above.leadingZeroBitCount
  }

  private static func bytes(ofShelf shelf: Int) -> Int { smallest << shelf }

  /// Bytes of buffers that have pages and lie idle.
  static var idleBytes: Int {
    shelves.withLock { shelves in
      shelves.enumerated().reduce(0) { $0 + $1.element.warm.count * bytes(ofShelf: $1.offset) }
    }
  }

  /// Memory for so many bytes, on a page's start from 8 KiB on, so that large writes are whole pages.
  static func take(_ count: Int) -> UnsafeMutableRawPointer {
    guard count >= smallest, count <= largest else {
      return .allocate(byteCount: count, alignment: 16)
    }
    let index = shelf(for: count)
    let address = shelves.withLock { shelves -> UInt? in
      if let address = shelves[index].warm.popLast() {
        shelves[index].lowest = min(shelves[index].lowest, shelves[index].warm.count)
        return address
      }
      return shelves[index].cold.popLast()
    }
    if let address, let memory = unsafe UnsafeMutableRawPointer(bitPattern: address) {
      return unsafe memory
    }
    return unsafe carve(index)
  }

  /// Takes memory back that `take` gave for so many bytes.
  static func give(_ memory: UnsafeMutableRawPointer, _ count: Int) {
    guard count >= smallest, count <= largest else {
      unsafe memory.deallocate()
      return
    }
    let address = UInt(bitPattern: memory)
    shelves.withLock { $0[shelf(for: count)].warm.append(address) }
  }

  /// Gives half of what nobody has needed since the last call back to the system.
  static func trim() {
    for index in 0...shelf(for: largest) {
      let unneeded = shelves.withLock { shelves in
        let count = (shelves[index].lowest + 1) / 2
        let unneeded = Array(shelves[index].warm.prefix(count))
        shelves[index].warm.removeFirst(count)
        shelves[index].lowest = shelves[index].warm.count
        return unneeded
      }
      for address in unneeded {
        unsafe Memory.drop(
          UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: address), count: bytes(ofShelf: index)))
      }
      if !unneeded.isEmpty { shelves.withLock { $0[index].cold += unneeded } }
    }
  }

  /// Cuts fresh memory into pieces of a shelf: the first is the caller's.
  private static func carve(_ index: Int) -> UnsafeMutableRawPointer {
    let size = bytes(ofShelf: index)
    let total = max(size, chunk)
    let start = UnsafeMutableRawPointer.allocate(
      byteCount: total, alignment: size >= huge ? chunk : 4096)
    if size >= huge {
      unsafe Memory.preferHugePages(UnsafeMutableRawBufferPointer(start: start, count: total))
    }
    let others = stride(from: total - size, to: 0, by: -size).map { offset in
      UInt(bitPattern: start) + UInt(offset)
    }
    // They have no pages yet.
    shelves.withLock { $0[index].cold += others }
    return unsafe start
  }
}
