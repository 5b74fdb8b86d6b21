import Base
import System

/// What has been told of a disk that others fill: once when it begins, once more where it gets worse, and
/// when it is over.
struct DiskFullness {
  private enum State: Int {
    case none, makingRoom, keepingNothing
  }

  private var state = State.none
  private var last = Instant.zero
  /// What there is to tell since the last time that it was taken.
  private(set) var news: [StorageEvent] = []

  var isFull: Bool { state != .none }

  /// A segment found no room.
  ///
  /// - Parameter hasContent: Whether there is content that can make room.
  mutating func foundNone(_ now: Instant, hasContent: Bool, path: String) {
    last = now
    let found = hasContent ? State.makingRoom : .keepingNothing
    guard found.rawValue > state.rawValue else { return }
    state = found
    news.append(.full(free: try? Folder.space(at: path).free, isKeeping: hasContent))
  }

  /// A segment found room by itself, on a disk that is not known to hold less than it should.
  ///
  /// Where content was leaving for it that says something only after a while: the room may be what has left.
  mutating func foundSome(_ now: Instant) {
    guard isFull else { return }
    if state == .makingRoom && now - last < DiskWriter.diskLimitTime { return }
    state = .none
    news.append(.roomy)
  }

  mutating func takeNews() -> [StorageEvent] {
    defer { news = [] }
    return news
  }
}
