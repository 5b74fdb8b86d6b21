import Base
import HTTP
import Testing

@testable import Upstreams

/// How servers and regions that were gone get their part again.
@Suite struct RecoveryTests {
  /// What of the requests of each two seconds the first region takes, of whose servers some have just gone
  /// down.
  private func parts(
    _ sizes: [Int], down: Int, hasLastResort: Bool = false, seconds: Int = 40
  ) -> [Double] {
    let world = SimulatedUpstreams(
      seed: 9, regions: sizes, hasLastResort: hasLastResort,
      options: UpstreamOptions(failTimeout: .seconds(5), slowStart: .seconds(20)))
    let options = world.pool.options
    for server in world.servers.prefix(down) {
      for _ in 0..<2 { _ = server.failed(at: world.network.now, options) }
    }
    var counts = Array(repeating: 0, count: seconds / 2)
    for tick in 0..<seconds * 100 {
      world.network.after(.milliseconds(tick * 10)) {
        let asker = world.ask("/\(tick)")
        asker.onEnd = {
          #expect(asker.status == 200)
          if world.servers.prefix(sizes[0]).contains(where: { $0 === asker.call.server }) {
            counts[tick / 200] += 1
          }
        }
      }
    }
    #expect(world.settle())
    world.pool.closeIdle()
    #expect(world.settle() && world.network.openEnds == 0 && world.active == 0)
    return counts.map { Double($0) / 200 }
  }

  /// All of it is new: what it cannot take yet goes on where it went before.
  @Test(arguments: [1, 2]) func aRegionStartsSlowly(size: Int) {
    let parts = parts([size, 1], down: size)
    // Down for five seconds, then up after one trial for each server.
    #expect(parts[0] == 0 && parts[1] == 0)
    #expect(parts[2] < 0.15 && parts[3] < 0.2, "\(parts)")
    for place in 3..<12 { #expect(parts[place] > parts[place - 1], "\(parts)") }
    // Half of it, halfway.
    #expect(abs(parts[7] - 0.5) < 0.1, "\(parts)")
    #expect(parts[13...].allSatisfy { $0 == 1 }, "\(parts)")
  }

  /// Where only a stranger could take the rest, or somebody who has just come up, it takes all of it.
  @Test func nobodyElseIsAskedInItsPlace() {
    let alone = parts([1, 1], down: 1, hasLastResort: true)
    #expect(alone[3...].allSatisfy { $0 == 1 }, "\(alone)")
    // But for the one that finds out whether the other region is back.
    let all = parts([1, 1], down: 2)
    #expect(all.allSatisfy { $0 >= 0.99 }, "\(all)")
  }

  @Test func theShareOfAGroupIsItsBestOnes() {
    func one(_ share: Int, _ rank: ServerHealth.Rank = .good, isBackup: Bool = false)
      -> Balancer.Standing
    {
      Balancer.Standing(active: 0, rank: rank, isBackup: isBackup, share: share)
    }
    #expect(Balancer.share(of: [one(50), one(300)]) == 300)
    #expect(Balancer.share(of: [one(50), one(1000)]) == 1000)
    // Those that would not be asked do not count.
    #expect(Balancer.share(of: [one(50), one(1000, .suspect), one(1000, isBackup: true)]) == 50)
  }
}
