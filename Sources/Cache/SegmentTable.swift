public import Base
import Synchronization
public import System

/// The segments that can be read: number to open descriptor, without a lock once a file is open.
///
/// Workers pin a segment for one transfer, so that its descriptor stays open although eviction has
/// unlinked the file. Sharing is safe because a place's word is one atomic: a descriptor is published
/// in it before it can be pinned, and is closed, by the cache writer alone, only once the word says
/// retired with no pins. Files are opened at their first use, under a lock. A segment's marks live as
/// long as its descriptor.
@safe
public final class SegmentTable: @unchecked Sendable {
  struct Place: ~Copyable {
    /// Number (32 bits), retired (1), open (1), pins (30); 0 for a free place.
    let word = Atomic<UInt64>(0)
    let descriptor = Atomic<Int32>(-1)
    /// The words of the segment's marks, from its first opening to its closing.
    let marks = Atomic<UInt>(0)
  }

  private static let retired: UInt64 = 1 << 31
  private static let opened: UInt64 = 1 << 30
  private static let pins: UInt64 = opened - 1

  private let folder: String
  private let places: UnsafeMutablePointer<Place>
  private let capacity: Int
  private let opening = Mutex<Void>(())

  /// A table with room for many more than `limit` numbers in a row, so that places seldom collide.
  init(folder: String, limit: Int) {
    self.folder = folder
    var capacity = 64
    while capacity < 4 * limit { capacity *= 2 }
    self.capacity = capacity
    unsafe places = .allocate(capacity: capacity)
    for index in 0..<capacity { unsafe (places + index).initialize(to: Place()) }
  }

  deinit {
    for index in 0..<capacity {
      let descriptor = unsafe places[index].descriptor.load(ordering: .relaxed)
      if descriptor >= 0 { _ = File(owning: descriptor) }
      unsafe Self.freeMarks(places + index)
    }
    unsafe places.deinitialize(count: capacity)
    unsafe places.deallocate()
  }

  /// The file of a segment, kept open until `unpin`; nil where the segment is gone.
  ///
  /// Throws where the file cannot be opened.
  public func pin(_ segment: UInt32) throws(Fault) -> FileReference? {
    let place = unsafe place(segment)
    var word = unsafe place.pointee.word.load(ordering: .acquiring)
    while true {
      guard UInt32(word >> 32) == segment, segment != 0, word & Self.retired == 0 else {
        return nil
      }
      if word & Self.opened == 0 {
        try open(segment)
        word = unsafe place.pointee.word.load(ordering: .acquiring)
        continue
      }
      let (isDone, found) = unsafe place.pointee.word.compareExchange(
        expected: word, desired: word + 1, ordering: .acquiringAndReleasing)
      if isDone {
        return FileReference(
          descriptor: unsafe place.pointee.descriptor.load(ordering: .relaxed))
      }
      word = found
    }
  }

  /// Ends a pin; exactly one for each `pin` that gave a file.
  public func unpin(_ segment: UInt32) {
    let place = unsafe place(segment)
    let old = unsafe place.pointee.word.subtract(1, ordering: .acquiringAndReleasing).oldValue
    precondition(UInt32(old >> 32) == segment && old & Self.pins != 0, "not pinned")
  }

  /// Whether a segment can be read now.
  func isLive(_ segment: UInt32) -> Bool {
    let word = unsafe place(segment).pointee.word.load(ordering: .acquiring)
    return segment != 0 && UInt32(word >> 32) == segment && word & Self.retired == 0
  }

  /// Whether a number's place is in use, by it or by another.
  func isTaken(_ segment: UInt32) -> Bool {
    unsafe place(segment).pointee.word.load(ordering: .acquiring) != 0
  }

  /// Enters a segment; false where its place is taken by another number.
  func add(_ segment: UInt32, descriptor: Int32? = nil) -> Bool {
    let place = unsafe place(segment)
    guard segment != 0, unsafe place.pointee.word.load(ordering: .acquiring) == 0 else {
      return false
    }
    unsafe place.pointee.descriptor.store(descriptor ?? -1, ordering: .relaxed)
    if let descriptor { unsafe Self.makeMarks(place, descriptor) }
    let word = UInt64(segment) << 32 | (descriptor == nil ? 0 : Self.opened)
    unsafe place.pointee.word.store(word, ordering: .releasing)
    return true
  }

  /// Lets no new pin in.
  func retire(_ segment: UInt32) {
    guard isLive(segment) else { return }
    opening.withLock { _ in
      _ = unsafe place(segment).pointee.word.bitwiseOr(
        Self.retired, ordering: .acquiringAndReleasing)
    }
  }

  /// Closes a retired segment; false as long as it is pinned.
  func close(_ segment: UInt32) -> Bool {
    let place = unsafe place(segment)
    let word = unsafe place.pointee.word.load(ordering: .acquiring)
    guard UInt32(word >> 32) == segment else { return true }
    guard word & Self.retired != 0, word & Self.pins == 0 else { return false }
    // No pin can come any more, so nobody else changes this place.
    let descriptor = unsafe place.pointee.descriptor.exchange(-1, ordering: .relaxed)
    if descriptor >= 0 { _ = File(owning: descriptor) }
    unsafe Self.freeMarks(place)
    unsafe place.pointee.word.store(0, ordering: .releasing)
    return true
  }

  func path(_ segment: UInt32) -> String { folder + "/" + Self.name(segment) }

  /// A segment's file name: eight upper-case hexadecimal digits and `.seg`.
  static func name(_ segment: UInt32) -> String {
    let digits = String(segment, radix: 16, uppercase: true)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits + ".seg"
  }

  private func place(_ segment: UInt32) -> UnsafeMutablePointer<Place> {
    unsafe places + Int(segment) & (capacity - 1)
  }

  /// The marks of an open segment; for who has pinned it, and for the writer.
  func marks(_ segment: UInt32) -> SegmentMarks? {
    let place = unsafe place(segment)
    // Acquiring: what the word says is open has its marks.
    let word = unsafe place.pointee.word.load(ordering: .acquiring)
    guard UInt32(word >> 32) == segment, word & Self.opened != 0 else { return nil }
    let address = unsafe place.pointee.marks.load(ordering: .relaxed)
    return unsafe SegmentMarks.Words(bitPattern: address).map { unsafe SegmentMarks($0) }
  }

  /// Makes marks for a file as large as it is, which options of another life may have said.
  ///
  /// Where its size cannot be told it goes without: its slices are checked at each use.
  private static func makeMarks(_ place: UnsafeMutablePointer<Place>, _ descriptor: Int32) {
    guard let bytes = try? FileReference(descriptor: descriptor).size() else { return }
    FileReference(descriptor: descriptor).readAtRandom()
    let marks = SegmentMarks(bytes: bytes)
    unsafe place.pointee.marks.store(UInt(bitPattern: marks.words), ordering: .relaxed)
  }

  private static func freeMarks(_ place: UnsafeMutablePointer<Place>) {
    let address = unsafe place.pointee.marks.exchange(0, ordering: .relaxed)
    unsafe SegmentMarks.Words(bitPattern: address).map { unsafe SegmentMarks($0).free() }
  }

  /// A segment's file to read, and to write where the disk lets it.
  private static func file(_ path: String) throws(Fault) -> Int32 {
    do throws(Fault) {
      return try File(path: path, .readWrite).release()
    } catch {
      // EROFS, EACCES: a disk that became read-only gives what it has. Who erases opens it anew.
      guard error.errno == SystemError.readOnly || error.errno == SystemError.noAccess else {
        throw error
      }
      return try File(path: path, .read).release()
    }
  }

  private func open(_ segment: UInt32) throws(Fault) {
    let place = unsafe place(segment)
    let path = path(segment)
    try opening.withLock { _ throws(Fault) in
      let word = unsafe place.pointee.word.load(ordering: .acquiring)
      guard UInt32(word >> 32) == segment, word & (Self.retired | Self.opened) == 0 else { return }
      let descriptor = try Self.file(path)
      unsafe place.pointee.descriptor.store(descriptor, ordering: .relaxed)
      unsafe Self.makeMarks(place, descriptor)
      _ = unsafe place.pointee.word.bitwiseOr(Self.opened, ordering: .releasing)
    }
  }
}
