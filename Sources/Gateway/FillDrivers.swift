/// The drivers of a worker, those included whose fill has left the table and still brings bytes.
struct FillDrivers {
  /// Unowned: a driver takes itself out when it goes, and a weak reference would make each count of
  /// references to it a slow one.
  private struct Place {
    unowned var driver: FillDriver
  }

  private var places: [Int: Place] = [:]
  private(set) var nextNumber = 0

  mutating func add(_ driver: FillDriver, _ number: Int) {
    places[number] = Place(driver: driver)
    nextNumber += 1
  }

  mutating func remove(_ number: Int) { places[number] = nil }

  /// In the order in which they began.
  var all: [FillDriver] { places.sorted { $0.key < $1.key }.map(\.value.driver) }
}
