internal import Base

/// The choice of the server for a try, among those of a region.
///
/// Those that are well go first, then backup servers that are, then those that have failed; among these the
/// one with the fewest active requests for its weight, and equals in turn, each as often as it weighs.
struct Balancer: Sendable {
  /// What is known of a server at the moment of choice.
  struct Standing: Equatable, Sendable {
    var active: Int
    /// In thousandths of the least weight that can be configured.
    var weight = 1000
    var rank = ServerHealth.Rank.good
    var isBackup = false
    /// What of its weight it has by now, in thousandths: less than all of it for a while after it came up.
    var share = 1000

    /// The order in which servers are asked, whatever they have to do.
    fileprivate var order: Int { rank.rawValue * 2 + (isBackup ? 1 : 0) }
  }

  /// What each server, by its number, has to its credit for the next choice among equals.
  private var credits: [Int: Int] = [:]
  /// Servers come and go; with more credits than this all begin anew.
  private static let maximumCredits = 4096

  init() {}

  /// The place of the server to ask among the candidates, each with its number; nil where there is none.
  mutating func choose(_ candidates: [(number: Int, standing: Standing)]) -> Int? {
    var best: [Int] = []
    for place in candidates.indices {
      guard let first = best.first else {
        best = [place]
        continue
      }
      let (one, other) = (candidates[place].standing, candidates[first].standing)
      if Self.isBefore(one, other) {
        best = [place]
      } else if !Self.isBefore(other, one) {
        best.append(place)
      }
    }
    guard best.count > 1 else { return best.first }
    return inTurn(best, of: candidates)
  }

  /// What of its requests a group of servers is to get, in thousandths: as much as the best of those that go
  /// first, since beside one that has been up for long the others start slowly by their weights.
  static func share(of standings: [Standing]) -> Int {
    let first = standings.map(\.order).min()
    return standings.filter { $0.order == first }.map(\.share).max() ?? 1000
  }

  private static func isBefore(_ one: Standing, _ other: Standing) -> Bool {
    if one.order != other.order { return one.order < other.order }
    // One with half of the other's weight has as much to do with half of its requests.
    return one.active * max(other.weight, 1) < other.active * max(one.weight, 1)
  }

  /// The next of equals: each gains its weight, and who has most pays for all (nginx' "smooth" order).
  private mutating func inTurn(
    _ places: [Int], of candidates: [(number: Int, standing: Standing)]
  ) -> Int? {
    if credits.count > Self.maximumCredits { credits = [:] }
    var sum = 0
    var chosen: (place: Int, credit: Int)?
    for place in places {
      let (number, standing) = candidates[place]
      sum += standing.weight
      let credit = credits[number, default: 0] + standing.weight
      credits[number] = credit
      if credit > chosen?.credit ?? .min { chosen = (place, credit) }
    }
    guard let chosen else { return nil }
    credits[candidates[chosen.place].number] = chosen.credit - sum
    return chosen.place
  }
}
