import Base
import EventLoop
import Testing

@testable import Server

@Suite struct CrewTests {
  private func isAnswered(_ visitor: Visitor) -> Bool {
    Received.all(visitor.received).first?.isComplete == true
  }

  /// The network chooses a listener by chance; what the workers have then is even all the same.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func fewConnectionsAreSpreadEvenly(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed, workers: 3)
    var visitors: [Visitor] = []
    for count in 1...12 {
      visitors.append(try world.visit(ServerWorld.get("/now/1")))
      #expect(world.run { visitors.allSatisfy { isAnswered($0) } })
      let shares = world.crew.map(\.connectionCount)
      #expect(shares.reduce(0, +) == count)
      #expect((shares.max() ?? 0) - (shares.min() ?? 0) <= 1, "\(shares)")
    }
    #expect(
      world.crew.reduce(0) { $0 + $1.counters.value(.connectionAccepted) } == visitors.count)
  }

  /// Those that end make room again, whoever accepted them.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func theyStayEvenAsConnectionsComeAndGo(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed, workers: 2)
    var random = SeededRandom(seed: seed)
    var visitors: [Visitor] = []
    for _ in 0..<200 {
      if visitors.count < 40 || random.chance(0.5) {
        let before = world.crew.map(\.connectionCount)
        visitors.append(try world.visit(ServerWorld.get("/now/1")))
        #expect(world.run { isAnswered(visitors[visitors.count - 1]) })
        // Connections end where chance has it; a new one goes to nobody who has many more.
        let after = world.crew.map(\.connectionCount)
        #expect(after.reduce(0, +) == visitors.count)
        for (number, count) in after.enumerated() where count > before[number] {
          #expect(!ServerCrew.isUneven(own: before[number], least: before.min() ?? 0))
        }
      } else {
        visitors.remove(at: random.number(in: 0...visitors.count - 1)).close()
        #expect(world.run { world.crew.reduce(0) { $0 + $1.connectionCount } == visitors.count })
      }
    }
    for visitor in visitors { visitor.close() }
    #expect(world.run { world.crew.allSatisfy { $0.connectionCount == 0 } })
    // All counts are back at nothing: two more go to two workers.
    for _ in 0..<2 { _ = try world.visit(ServerWorld.get("/hold")) }
    #expect(world.run { world.crew.allSatisfy { $0.connectionCount == 1 } })
  }

  @Test func amongManyAnEighthIsEvenEnough() {
    #expect(!ServerCrew.isUneven(own: 0, least: 0) && ServerCrew.isUneven(own: 1, least: 0))
    #expect(!ServerCrew.isUneven(own: 7, least: 7) && ServerCrew.isUneven(own: 8, least: 7))
    #expect(!ServerCrew.isUneven(own: 1125, least: 1000))
    #expect(ServerCrew.isUneven(own: 1126, least: 1000))
  }

  /// A connection on its way to a worker that has stopped listening is answered, or closed if it has ended.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func handedOverWhileStopping(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed, workers: 2)
    let visitors = try (0..<8).map { _ in try world.visit(ServerWorld.get("/now/1")) }
    var random = SeededRandom(seed: seed)
    for _ in 0..<random.number(in: 0...60) { _ = world.network.step() }
    var ended = 0
    for worker in world.crew { worker.drain { ended += 1 } }
    #expect(world.run { ended == 2 && visitors.allSatisfy(\.isOver) })
    #expect(world.crew.allSatisfy { $0.connectionCount == 0 })
    for visitor in visitors { #expect(Received.all(visitor.received).count <= 1 && visitor.isOver) }
  }
}
