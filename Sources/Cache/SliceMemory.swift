internal import Synchronization

/// The memory of large slice buffers, kept for the next ones.
///
/// Memory fresh from the system costs a page fault for each 4 KiB: for a large download more than all
/// else together. One lock, taken twice a slice.
enum SliceMemory {
  /// Smaller buffers are the allocator's own business.
  private static let smallest = 64 << 10
  /// What may lie idle, in bytes.
  private static let kept = 64 << 20

  private struct Idle {
    var bySize: [Int: [UInt]] = [:]
    var bytes = 0
  }

  private static let idle = Mutex(Idle())

  /// A page's alignment, so that large writes are whole pages of memory too.
  static func take(_ count: Int) -> UnsafeMutableRawPointer {
    if count >= smallest {
      let address = idle.withLock { idle -> UInt? in
        guard let address = idle.bySize[count]?.popLast() else { return nil }
        idle.bytes -= count
        return address
      }
      if let address, let memory = unsafe UnsafeMutableRawPointer(bitPattern: address) {
        return unsafe memory
      }
    }
    return .allocate(byteCount: count, alignment: 4096)
  }

  /// Takes memory back that `take` gave for so many bytes.
  static func give(_ memory: UnsafeMutableRawPointer, _ count: Int) {
    let address = UInt(bitPattern: memory)
    let isKept = idle.withLock { idle in
      guard count >= smallest, idle.bytes + count <= kept else { return false }
      idle.bySize[count, default: []].append(address)
      idle.bytes += count
      return true
    }
    if !isKept { unsafe memory.deallocate() }
  }
}
