internal import Base

/// Rules by the digest of what they are about: 16 bytes a place, four places of five in use.
///
/// Half of a digest chooses the place, the other half is compared, so that nothing needs to be looked at again: among
/// ten million rules one look-up in 10^18 finds what is not there. The digests are keyed, and nobody outside can aim at
/// one. Written before it is shared, and never after.
@safe
final class DenyTable: @unchecked Sendable {
  // Unchecked: whoever makes it hands it on only when it is whole.

  /// Two words a place: the compared half, 0 for a free one, and the rule's mark.
  private let words: UnsafeMutablePointer<UInt64>
  private let places: Int
  private(set) var count = 0

  /// - Parameter rules: How many are to find room; further ones find little.
  init(rules: Int) {
    places = max(64, rules + rules / 4)
    unsafe words = .allocate(capacity: 2 * places)
    unsafe words.initialize(repeating: 0, count: 2 * places)
  }

  deinit {
    unsafe words.deallocate()
  }

  /// Bytes of memory.
  var byteCount: Int { places * 16 }

  /// Notes a rule, in the place of an earlier one about the same; false where there is no room.
  func insert(_ digest: Digest128, _ mark: DenyMark) -> Bool {
    var place = start(digest)
    let tag = Self.tag(digest)
    // Inside: `place` stays below `places`, and one in eight is always free, which ends the loop.
    while unsafe words[2 * place] != 0 {
      if unsafe words[2 * place] == tag {
        unsafe words[2 * place + 1] = mark.word
        return true
      }
      place = place + 1 == places ? 0 : place + 1
    }
    guard count < places - places / 8 else { return false }
    unsafe words[2 * place] = tag
    unsafe words[2 * place + 1] = mark.word
    count += 1
    return true
  }

  func find(_ digest: Digest128) -> DenyMark? {
    var place = start(digest)
    let tag = Self.tag(digest)
    while true {
      let found = unsafe words[2 * place]
      if found == tag { return DenyMark(word: unsafe words[2 * place + 1]) }
      if found == 0 { return nil }
      place = place + 1 == places ? 0 : place + 1
    }
  }

  private func start(_ digest: Digest128) -> Int {
    Int(digest.first.multipliedFullWidth(by: UInt64(places)).high)
  }

  private static func tag(_ digest: Digest128) -> UInt64 { max(1, digest.second) }
}
