internal import Base

/// Which servers may still be asked for the rest of a body that has broken off.
///
/// All that have not failed since it last came on, and then once more the one that brought it this far: it
/// may be the only one, or the only one that has the content. So tries end, unless bytes keep coming.
struct Resumption {
  /// So much more of a body makes the next break a first one again.
  ///
  /// Not any byte: a server that gives a few each time would be asked for ever.
  static let progressBytes: Int64 = 256 << 10
  /// The most tries in a row that do not bring so much.
  static let triesInARow = 4

  /// Where the row of tries began.
  private var rowStart: Int64
  private var tries = 0
  /// Those that have failed in this row, by their place among the servers.
  private var failed: [Int] = []
  /// When the row is over.
  private var rowEnds: Instant?
  /// Who brought bytes last, as long as it has not been asked again for the rest.
  private var bringer: Int?

  /// - Parameter start: the first byte of what is fetched.
  init(from start: Int64) { rowStart = start }

  /// Whether there is time for another try: a row has as much as the tries of one request.
  mutating func hasTime(at position: Int64, now: Instant, of patience: Interval) -> Bool {
    if let rowEnds, position - rowStart < Self.progressBytes { return now < rowEnds }
    rowEnds = now + patience
    return true
  }

  /// The servers not to be asked for the rest; nil where nobody is left.
  ///
  /// - Parameters:
  ///   - asked: the servers of the request that has failed, the one that was asked last at the end, and
  ///     those that were not to be asked before it.
  ///   - position: the next byte that is needed.
  ///   - broughtBytes: whether the last of them has brought any.
  ///   - servers: how many there are, those that are drained as well: a drain does not change how often others
  ///     may be asked.
  ///   - open: those of them that get new requests.
  mutating func next(
    after asked: [Int], at position: Int64, broughtBytes: Bool, of servers: Int, open: [Int]
  ) -> [Int]? {
    var hasAsked = true
    if position - rowStart >= Self.progressBytes {
      rowStart = position
      tries = 0
      failed = []
      // Those before it may well have the rest.
      if broughtBytes, let last = asked.last { failed = [last] }
    } else {
      hasAsked = broughtBytes || asked.contains { !failed.contains($0) }
      for server in asked where !failed.contains(server) { failed.append(server) }
    }
    if broughtBytes { bringer = asked.last }
    guard tries < min(servers, Self.triesInARow) else { return nil }
    tries += 1
    let again = bringer.flatMap { open.contains($0) ? $0 : nil }
    // Where nobody could be asked, others having no place for example, the one that has it is not let go.
    if open.contains(where: { !failed.contains($0) }), hasAsked || again == nil { return failed }
    guard let again else { return nil }
    bringer = nil
    return failed.filter { $0 != again }
  }
}
