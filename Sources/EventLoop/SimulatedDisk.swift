internal import Base

/// Runs a disk queue's items in simulated time, as threads that wait for a disk would.
///
/// Items may overtake each other, as with several threads. Sharing is safe because a simulation has one
/// thread.
final class SimulatedDisk: @unchecked Sendable {
  private let network: SimulatedNetwork

  init(_ network: SimulatedNetwork) {
    self.network = network
  }

  /// Runs an item after a while; false where too much waits already, by chance.
  func submit(_ item: @escaping DiskQueue.Item) -> Bool {
    if network.random.chance(network.weather.refusedReads) { return false }
    let isSlow = network.random.chance(network.weather.slowReads)
    let microseconds = isSlow ? Self.slow : Self.usual
    network.after(.microseconds(network.random.number(in: microseconds)), item)
    return true
  }

  /// In microseconds: a disk that answers, and one that is busy with other things.
  private static let usual = 20...900
  private static let slow = 50_000...900_000
}
