internal import Base
internal import System

/// Keeps what is known of clients' places as new as the database's file.
///
/// Blocks on the disk: used by one thread that may wait. A file that has changed is read once it has
/// stopped changing; a bad one is told of once, and what the last good one said stays.
public final class PlaceWatch {
  /// What came of a look.
  public enum Finding: Equatable, Sendable {
    /// The file is in use now, cut into so many ranges.
    case used(ranges: Int)
    case unusable(String)
  }

  private let path: String
  private let places: ClientPlaces
  /// The mark of the file that was dealt with last, well or badly.
  private var dealt: FileMark?
  /// What the last look found, if it was neither.
  private var seen: FileMark?
  private var lastWhy: String?

  public init(path: String, places: ClientPlaces) {
    self.path = path
    self.places = places
  }

  /// Looks at the file, and reads it if it is another than before and as it was at the last look.
  ///
  /// The first look, at the start, takes it as it is.
  public func look() -> Finding? {
    let mark: FileMark
    do throws(Fault) {
      mark = try File(path: path, .read).mark()
    } catch {
      seen = nil
      return complain(SystemError.text(error.errno))
    }
    if mark == dealt { return nil }
    guard mark == seen || dealt == nil && lastWhy == nil else {
      // Somebody may still be writing it.
      seen = mark
      return nil
    }
    dealt = mark
    do throws(PlaceDatabase.Unusable) {
      let table = try PlaceDatabase.table(path: path, places.rules)
      places.use(table)
      lastWhy = nil
      return .used(ranges: table.rangeCount)
    } catch {
      lastWhy = nil
      return complain(error.sentence)
    }
  }

  private func complain(_ why: String) -> Finding? {
    guard why != lastWhy else { return nil }
    lastWhy = why
    return .unusable(why)
  }
}
