import Base
import Testing

@testable import Gateway

@Suite struct SearchesTests {
  private func at(_ seconds: Double) -> Instant {
    Instant(nanoseconds: Int64(seconds * 1e9))
  }

  @Test func onlySlowOnesAreCounted() {
    var searches = Searches(patience: .seconds(5), limit: 2)
    let tickets = (0..<4).map { searches.begin(isDoubtful: false, at: at(Double($0))) }
    #expect(searches.slowCount(at: at(4.9)) == 0 && searches.slowCount(at: at(6)) == 2)
    #expect(!searches.isFull(at: at(5.9)) && searches.isFull(at: at(6)))
    #expect(searches.nextSurplus == at(7))
    #expect(searches.takeSurplus(at: at(6.9)) == [])
    #expect(searches.takeSurplus(at: at(7)) == [tickets[0]])
    #expect(searches.nextSurplus == at(8))
    searches.end(tickets[1])
    #expect(searches.nextSurplus == nil && searches.takeSurplus(at: at(100)) == [])
    searches.end(tickets[1])
    #expect(searches.count == 2)
  }

  @Test func whatHasFailedBeforeGoesFirst() {
    var searches = Searches(patience: .seconds(5), limit: 1)
    let tickets = [false, false, true, false, true].map {
      searches.begin(isDoubtful: $0, at: at(0))
    }
    #expect(
      searches.takeSurplus(at: at(5)) == [tickets[2], tickets[4], tickets[0], tickets[1]])
    #expect(searches.count == 1)
  }

  @Test func noneAtAll() {
    var searches = Searches(patience: .seconds(5), limit: 0)
    #expect(searches.isFull(at: at(0)))
    let ticket = searches.begin(isDoubtful: false, at: at(0))
    #expect(searches.nextSurplus == at(5))
    #expect(searches.takeSurplus(at: at(5)) == [ticket])
    #expect(searches.nextSurplus == nil)
  }

  /// Random histories against the plainest of models.
  @Test(arguments: 0..<20 as Range<UInt64>) func neverTooMany(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let limit = random.number(in: 0...4)
    var searches = Searches(patience: .seconds(5), limit: limit)
    var model: [Int: Instant] = [:]
    var now = Instant.zero
    for _ in 0..<500 {
      now = now + .milliseconds(random.number(in: 0...1500))
      if let due = searches.nextSurplus, due <= now {
        for ticket in searches.takeSurplus(at: now) {
          let began = model.removeValue(forKey: ticket)
          #expect(began.map { now - $0 >= .seconds(5) } ?? false)
        }
      }
      #expect(model.values.count { now - $0 >= .seconds(5) } <= limit)
      #expect(searches.slowCount(at: now) == model.values.count { now - $0 >= .seconds(5) })
      if random.chance(0.6) {
        model[searches.begin(isDoubtful: random.chance(0.5), at: now)] = now
      } else if let ticket = model.keys.sorted().randomElement(using: &random) {
        searches.end(ticket)
        model[ticket] = nil
      }
      #expect(searches.count == model.count)
    }
  }
}
