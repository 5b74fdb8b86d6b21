import Foundation
import Testing

@testable import Cache
@testable import Gateway

/// The whole gateway in simulated time: every seed is another history of clients, nodes, network and
/// disk, and every answer of each history is measured against what the content is.
@Suite struct SimulationTests {
  static let environment = ProcessInfo.processInfo.environment
  /// `SEED=7` alone, or `SEEDS=1000` from 0 or `FIRST` on; 100 unless told.
  static let seeds: [UInt64] = {
    if let seed = environment["SEED"].flatMap({ UInt64($0) }) { return [seed] }
    let count = environment["SEEDS"].flatMap { UInt64($0) } ?? 100
    let first = environment["FIRST"].flatMap { UInt64($0) } ?? 0
    return Array(first..<first + count)
  }()

  @Test(arguments: seeds) func history(seed: UInt64) throws {
    let alive: () -> Bool
    let failures: [String]
    do {
      let world = try World(seed: seed)
      defer { world.folder.remove() }
      world.run()
      failures = world.failures
      alive = Self.areAlive(world.gateways + world.storages)
      if Self.environment["SEED"] != nil || !failures.isEmpty { print(world.troubles) }
      if Self.environment["SEED"] ?? Self.environment["SEEDS"] != nil { print(world.story) }
    }
    for failure in failures {
      Issue.record("seed \(seed): \(failure); again with: make simulate SEED=\(seed)")
    }
    if failures.isEmpty { #expect(!alive(), "seed \(seed): a gateway or its storage is not freed") }
  }

  /// Tells later whether any of these is still there.
  private static func areAlive(_ objects: [AnyObject]) -> () -> Bool {
    let looks = objects.map { object in { [weak object] in object != nil } }
    return { looks.contains { $0() } }
  }

  /// Without this a failing seed could not be looked at.
  @Test(arguments: [1, 2, 5, 20, 42, 58, 83, 90, 119, 243] as [UInt64])
  func oneSeedHasOneHistory(seed: UInt64) throws {
    let first = try World(seed: seed)
    let second = try World(seed: seed)
    for world in [first, second] {
      defer { world.folder.remove() }
      world.run()
    }
    #expect(first.history == second.history)
    #expect(first.answers > 5)
  }
}
