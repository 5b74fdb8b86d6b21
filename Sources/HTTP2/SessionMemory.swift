internal import CNghttp2

/// The memory of one worker's HTTP/2 sessions, kept in lists of free blocks.
///
/// nghttp2 allocates some five blocks for each request; in steady traffic they all come from here, and
/// no call reaches the system's allocator. All of it is used on one thread.
@safe
public final class SessionMemory {
  // A block is a power of two of bytes, of which the first 16 say which list it belongs to, and hold the
  // list's next block while it is free. What C sees lies behind them, aligned as malloc's would be.
  private static let headBytes = 16
  private static let smallest = 6
  /// Above 64 KiB nothing is asked for but by what grows to a limit of ours; the system serves that.
  private static let largest = 16
  /// Free blocks of one size: enough for a burst of streams to end without a call to the system.
  private static let keptBytes = 512 << 10

  private var free: [UnsafeMutableRawPointer?]
  private var freeBytes: [Int]
  /// Blocks that are in use; for tests.
  public private(set) var blocksInUse = 0
  /// Blocks that came from the system; for tests.
  public private(set) var blocksMade = 0

  public init() {
    unsafe free = Array(repeating: nil, count: Self.largest + 1)
    freeBytes = Array(repeating: 0, count: Self.largest + 1)
  }

  deinit {
    for list in Self.smallest...Self.largest {
      while let block = unsafe free[list] {
        unsafe free[list] = block.load(as: UnsafeMutableRawPointer?.self)
        unsafe block.deallocate()
      }
    }
  }

  /// The functions that nghttp2 calls; they hold on to nothing, so this object must outlive its sessions.
  var functions: nghttp2_mem {
    unsafe nghttp2_mem(
      mem_user_data: Unmanaged.passUnretained(self).toOpaque(),
      malloc: { size, owner in unsafe SessionMemory.with(owner) { unsafe $0.allocate(size) } },
      free: { block, owner in unsafe SessionMemory.with(owner) { unsafe $0.release(block) } },
      calloc: { count, size, owner in
        let (bytes, isTooMuch) = count.multipliedReportingOverflow(by: size)
        guard !isTooMuch,
          let block = unsafe SessionMemory.with(owner, { unsafe $0.allocate(bytes) })
        else { return nil }
        unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        return unsafe block
      },
      realloc: { block, size, owner in
        unsafe SessionMemory.with(owner) { unsafe $0.resize(block, size) }
      })
  }

  /// Calls with the object behind nghttp2's pointer, and without counting a reference for each block.
  @inline(__always)
  private static func with<Result>(
    _ owner: UnsafeMutableRawPointer?, _ body: (SessionMemory) -> Result
  ) -> Result {
    guard let owner = unsafe owner else { preconditionFailure("nghttp2 lost its memory") }
    return unsafe Unmanaged<SessionMemory>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
  }

  private static func list(_ bytes: Int) -> Int {
    max(smallest, Int.bitWidth - (bytes + headBytes - 1).leadingZeroBitCount)
  }

  private func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
    guard bytes >= 0, bytes < 1 << 40 else { return nil }
    let list = Self.list(bytes)
    blocksInUse += 1
    if list <= Self.largest, let block = unsafe free[list] {
      unsafe free[list] = block.load(as: UnsafeMutableRawPointer?.self)
      freeBytes[list] -= 1 << list
      return unsafe block + Self.headBytes
    }
    blocksMade += 1
    let block = UnsafeMutableRawPointer.allocate(byteCount: 1 << list, alignment: 16)
    unsafe block.storeBytes(of: list, toByteOffset: 8, as: Int.self)
    return unsafe block + Self.headBytes
  }

  private func release(_ memory: UnsafeMutableRawPointer?) {
    guard let memory = unsafe memory else { return }
    blocksInUse -= 1
    let block = unsafe memory - Self.headBytes
    let list = unsafe block.load(fromByteOffset: 8, as: Int.self)
    guard list <= Self.largest, freeBytes[list] + 1 << list <= Self.keptBytes else {
      unsafe block.deallocate()
      return
    }
    unsafe block.storeBytes(of: free[list], as: UnsafeMutableRawPointer?.self)
    unsafe free[list] = block
    freeBytes[list] += 1 << list
  }

  private func resize(
    _ memory: UnsafeMutableRawPointer?, _ bytes: Int
  ) -> UnsafeMutableRawPointer? {
    guard let memory = unsafe memory else { return unsafe allocate(bytes) }
    let list = unsafe (memory - Self.headBytes).load(fromByteOffset: 8, as: Int.self)
    let room = 1 << list - Self.headBytes
    if bytes <= room { return unsafe memory }
    guard let larger = unsafe allocate(bytes) else { return nil }
    unsafe larger.copyMemory(from: memory, byteCount: room)
    unsafe release(memory)
    return unsafe larger
  }
}
