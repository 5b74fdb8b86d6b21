internal import Base
internal import EventLoop
internal import Telemetry

/// What asks upstreams for something of which nobody knows yet whether anybody has it.
protocol Search: AnyObject {
  /// Too many wait for what nobody may have: this one is given up.
  ///
  /// That is no failure of what was asked for.
  func giveUpSearch()
}

/// Ends searches of a worker, for content and for what names lead to, where too many are slow.
final class SearchWatch: EventHandler {
  private let loop: Loop
  private let counters: CounterPage
  private var searches: Searches
  private var underWay: [Int: any Search] = [:]
  private var handle = Handle.none
  private var timerDue = Instant.never

  init(_ loop: Loop, _ options: GatewayOptions, _ counters: CounterPage) {
    self.loop = loop
    self.counters = counters
    searches = Searches(patience: options.searchPatience, limit: options.slowSearches)
  }

  /// Notes that somebody asks for what nothing is known of yet; the ticket that ends it.
  func begin(_ search: any Search, isDoubtful: Bool) -> Int {
    let ticket = searches.begin(isDoubtful: isDoubtful, at: loop.now)
    underWay[ticket] = search
    setTimer()
    return ticket
  }

  func end(_ ticket: Int) {
    searches.end(ticket)
    underWay[ticket] = nil
  }

  /// Whether what has failed before may not be looked for now.
  var isFull: Bool { searches.isFull(at: loop.now) }

  /// Notes that such a request was refused.
  func noteRefusal() { counters.add(.searchRefused) }

  private func setTimer() {
    guard let due = searches.nextSurplus, due < timerDue else { return }
    if handle == .none { handle = loop.enrol(self) }
    timerDue = due
    loop.setTimer(handle, tag: 0, at: due)
  }

  override func deadline(_ tag: UInt32) {
    timerDue = .never
    for ticket in searches.takeSurplus(at: loop.now) {
      guard let search = underWay.removeValue(forKey: ticket) else { continue }
      counters.add(.searchEnded)
      search.giveUpSearch()
    }
    setTimer()
    if timerDue == .never { close() }
  }

  /// Watches no more.
  func close() {
    guard handle != .none else { return }
    loop.dismiss(handle)
    handle = .none
    timerDue = .never
  }
}
