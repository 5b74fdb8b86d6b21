public import Base
import CLinux

/// What a read that must not wait came to.
public enum ReadNow: Equatable, Sendable {
  /// So many bytes are there; 0 at the file's end.
  case bytes(Int)
  /// The bytes are not in memory: a thread that may wait has to read them.
  case wouldBlock
  case fault(Fault)
}

/// An open file, closed when its owner goes.
public struct File: ~Copyable, Sendable {
  /// How a file is opened.
  public enum Access: Int32, Sendable {
    case read = 0
    case readWrite = 1
    /// Read and written, and made where it is missing.
    case create = 3
    /// Read and written, and made; a fault (EEXIST) where it exists.
    case createNew = 7
    /// Written past the page cache (O_DIRECT): offset, count and memory must be whole pages.
    ///
    /// A fault (EINVAL) where the file system has no such thing.
    case direct = 17
    /// Read, and nothing else than a file by its own name: a fault for links, pipes and the like.
    case plain = 32
  }

  public let descriptor: Int32

  public init(path: String, _ access: Access) throws(Fault) {
    descriptor = Int32(try checked(unsafe linux_open(path, access.rawValue)))
  }

  /// Takes a descriptor over.
  public init(owning descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// A file in memory, without a name (memfd_create, 2).
  public init(inMemory label: String) throws(Fault) {
    descriptor = Int32(try checked(unsafe linux_memory_file(label)))
  }

  deinit {
    linux_close(descriptor)
  }

  /// Gives the descriptor away; whoever takes it closes it.
  public consuming func release() -> Int32 {
    let given = descriptor
    discard self
    return given
  }

  /// Makes a path lead to this file, for as long as it is open, in the place of what is there.
  public func link(at path: String) throws(Fault) {
    try checked(unsafe linux_symlink("/proc/self/fd/\(descriptor)", path))
  }

  /// The same file for somebody who does not own it.
  public var reference: FileReference { FileReference(descriptor: descriptor) }

  public func readNow(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> ReadNow {
    unsafe reference.readNow(at: offset, into: buffer)
  }

  public func read(
    at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    try unsafe reference.read(at: offset, into: buffer)
  }

  public func write(at offset: Int, _ bytes: RawSpan) throws(Fault) {
    try reference.write(at: offset, bytes)
  }

  /// Keeps others from locking the file until this one is closed (flock, 2).
  ///
  /// Throws at once, with EAGAIN, where another process, or another opening of the file, has the lock.
  public func lock() throws(Fault) { try checked(linux_lock(descriptor)) }

  /// Waits until the bytes are on the disk (fdatasync, 2).
  public func sync() throws(Fault) {
    try reference.sync()
  }

  /// Reserves space from the file's start and makes the file at least so long (fallocate, 2).
  public func allocate(bytes: Int) throws(Fault) {
    try checked(linux_fallocate(descriptor, UInt64(max(bytes, 0))))
  }

  /// Takes space for so many bytes, and leaves the file's size as it is (fallocate, 2).
  public func reserve(bytes: Int) throws(Fault) {
    try checked(linux_reserve(descriptor, UInt64(max(bytes, 0))))
  }

  public func size() throws(Fault) -> Int { try reference.size() }

  /// Makes the file end there, and gives all space behind it back (ftruncate, 2).
  public func truncate(bytes: Int) throws(Fault) {
    try checked(linux_truncate(descriptor, UInt64(max(bytes, 0))))
  }

  public func isResident(offset: Int, count: Int) -> Bool? {
    reference.isResident(offset: offset, count: count)
  }

  public func residentPrefix(offset: Int, count: Int) -> Int {
    reference.residentPrefix(offset: offset, count: count)
  }
}

/// An open file as seen by somebody who does not own it; its owner must keep it open meanwhile.
public struct FileReference: Equatable, Sendable {
  public var descriptor: Int32

  public init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// Reads what is in memory, and never waits for the disk (preadv2 with RWF_NOWAIT).
  public func readNow(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> ReadNow {
    guard offset >= 0 else { return .fault(Fault(.io, .disk, errno: invalid)) }
    let got = unsafe linux_pread_nowait(
      descriptor, buffer.baseAddress, buffer.count, UInt64(offset))
    if got >= 0 { return .bytes(Int(got)) }
    // EOPNOTSUPP: a file system without NOWAIT; the waiting read serves it.
    if got == -wouldBlock || got == -unsupported { return .wouldBlock }
    return .fault(Fault(.io, .disk, errno: Int32(truncatingIfNeeded: -got)))
  }

  /// Reads until the buffer is full or the file ends, and may wait for the disk.
  public func read(
    at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    guard offset >= 0 else { throw Fault(.io, .disk, errno: invalid) }
    var filled = 0
    while filled < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let got = try checked(
        unsafe linux_pread(descriptor, rest.baseAddress, rest.count, UInt64(offset + filled)))
      if got == 0 { break }
      filled += Int(got)
    }
    return filled
  }

  /// Writes all bytes, or throws.
  public func write(at offset: Int, _ bytes: RawSpan) throws(Fault) {
    guard offset >= 0 else { throw Fault(.io, .disk, errno: invalid) }
    let result = unsafe bytes.withUnsafeBytes { source in
      unsafe linux_pwrite(descriptor, source.baseAddress, source.count, UInt64(offset))
    }
    try checked(result)
  }

  /// Waits until the bytes are on the disk (fdatasync, 2).
  public func sync() throws(Fault) {
    try checked(linux_fdatasync(descriptor))
  }

  /// Bytes of the file now.
  public func size() throws(Fault) -> Int {
    Int(try checked(linux_file_size(descriptor)))
  }

  /// Gives the pages that lie wholly in a range back to the file system (fallocate, 2).
  ///
  /// They read as zeros from then on.
  public func punch(offset: Int, count: Int) throws(Fault) {
    try checked(linux_punch(descriptor, UInt64(max(offset, 0)), UInt64(max(count, 0))))
  }

  /// Whether a path leads to this file; a fault (of looking) where nobody can tell.
  public func isAt(_ path: String) throws(Fault) -> Bool {
    try checked(unsafe linux_is_at(descriptor, path)) == 1
  }

  /// Whether every page of a range is in memory (cachestat, 2), or nil where the kernel cannot tell.
  public func isResident(offset: Int, count: Int) -> Bool? {
    guard offset >= 0, count > 0 else { return true }
    let found = linux_resident_pages(descriptor, UInt64(offset), UInt64(count))
    if found < 0 { return nil }
    let first = offset / pageBytes
    let last = (offset + count - 1) / pageBytes
    return Int(found) >= last - first + 1
  }

  /// How many bytes from `offset` on are in memory, at most `count`.
  ///
  /// Asks cachestat for the whole; where that is unsupported or says no, goes on by one-byte reads
  /// that must not wait, one a page, up to the first page that is missing.
  public func residentPrefix(offset: Int, count: Int) -> Int {
    guard offset >= 0, count > 0 else { return 0 }
    if isResident(offset: offset, count: count) == true { return count }
    var reached = offset
    let end = offset + count
    while reached < end {
      var byte: UInt8 = 0
      let got = unsafe withUnsafeMutableBytes(of: &byte) { one in
        unsafe readNow(at: reached, into: one)
      }
      guard got == .bytes(1) else { break }
      reached = (reached / pageBytes + 1) * pageBytes
    }
    return min(reached, end) - offset
  }
}

private let pageBytes = Int(linux_page_size())
// Linux's numbers, the same on every architecture that Swift runs on there.
private let wouldBlock: Int64 = 11
private let unsupported: Int64 = 95
private let invalid: Int32 = 22
