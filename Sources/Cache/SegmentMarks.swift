import Base
import Synchronization

/// What is known of a segment's pages since its file was opened in this life: a bit for each page and mark.
///
/// Only the address of one block of memory: the number of words a mark takes, then the words of each
/// mark. Sharing is safe because every word is an atomic; the memory itself goes with `free`, which the
/// table calls when nobody can hold a pin any more.
@safe
struct SegmentMarks {
  typealias Words = UnsafeMutablePointer<Atomic<UInt64>>

  enum Mark: Int, CaseIterable {
    /// A client was given the page's bytes from the disk, other than those who waited for their fetch.
    case hit
    /// The slice that begins on the page had its checksum.
    case verified
  }

  let words: Words

  init(_ words: Words) { unsafe self.words = words }

  /// Marks for a file of so many bytes, none of them set.
  init(bytes: Int) {
    let pages = (max(bytes, 0) + SegmentLayout.page - 1) / SegmentLayout.page
    let each = (pages + 63) / 64
    let count = 1 + each * Mark.allCases.count
    unsafe words = .allocate(capacity: count)
    for index in 0..<count { unsafe (words + index).initialize(to: Atomic(0)) }
    unsafe words.pointee.store(UInt64(each), ordering: .relaxed)
  }

  /// Gives the memory back; nobody may have the marks any more.
  func free() {
    let count = 1 + wordsEach * Mark.allCases.count
    unsafe words.deinitialize(count: count)
    unsafe words.deallocate()
  }

  /// Whether the page of an offset has a mark; false beyond the file.
  func has(_ mark: Mark, at offset: Int) -> Bool {
    guard let (index, bit) = place(mark, offset) else { return false }
    return unsafe words[index].load(ordering: .acquiring) & bit != 0
  }

  /// Sets a mark; writes only where it is not set, so that what is hot stays in every core's cache.
  func set(_ mark: Mark, at offset: Int) {
    guard let (index, bit) = place(mark, offset) else { return }
    if unsafe words[index].load(ordering: .relaxed) & bit != 0 { return }
    _ = unsafe words[index].bitwiseOr(bit, ordering: .releasing)
  }

  /// Takes a mark from every page that a range touches.
  func clear(_ mark: Mark, from offset: Int, count: Int) {
    guard offset >= 0, count > 0 else { return }
    let pages = wordsEach * 64
    let first = offset / SegmentLayout.page
    let last = min((offset + min(count, .max - offset) - 1) / SegmentLayout.page, pages - 1)
    guard first <= last else { return }
    for page in first...last {
      guard let (index, bit) = place(mark, page * SegmentLayout.page) else { return }
      _ = unsafe words[index].bitwiseAnd(~bit, ordering: .releasing)
    }
  }

  private var wordsEach: Int { Int(unsafe words.pointee.load(ordering: .relaxed)) }

  private func place(_ mark: Mark, _ offset: Int) -> (index: Int, bit: UInt64)? {
    let page = offset / SegmentLayout.page
    let each = wordsEach
    guard offset >= 0, page < each * 64 else { return nil }
    return (1 + mark.rawValue * each + page / 64, 1 << UInt64(page % 64))
  }
}

/// Marks of segments that the caller has pinned.
///
/// The cache writer, who alone closes segments, needs no pin. Marks of a segment that is not in the table,
/// or was never opened, are not set, and setting them does nothing. They last until the descriptor is
/// closed, so a retired segment that is still pinned has them.
extension SegmentTable {
  /// Notes that what begins at an offset was given to a client from the disk.
  public func noteHit(_ segment: UInt32, at offset: Int) {
    marks(segment)?.set(.hit, at: offset)
  }

  /// Whether something that begins on an offset's page was given to a client in this life.
  public func wasHit(_ segment: UInt32, at offset: Int) -> Bool {
    marks(segment)?.has(.hit, at: offset) ?? false
  }

  /// Whether the slice that has the page of an offset for itself was held against its checksum.
  public func isVerified(_ segment: UInt32, at offset: Int) -> Bool {
    marks(segment)?.has(.verified, at: offset) ?? false
  }

  public func setVerified(_ segment: UInt32, at offset: Int) {
    marks(segment)?.set(.verified, at: offset)
  }

  /// Has slices checked again at their next use.
  public func clearVerified(_ segment: UInt32, from offset: Int, count: Int) {
    marks(segment)?.clear(.verified, from: offset, count: count)
  }
}
