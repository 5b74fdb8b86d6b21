import Base

@testable import Admission
@testable import Cache
@testable import Gateway

/// A denylist that changes in the middle of everything: what it denies is answered to nobody soon after, and leaves the
/// cache; what it does not deny is refused to nobody.
extension World {
  /// What the list says of a content from some moment on.
  enum Ruling {
    case allowed
    /// Denied by its path, so that nothing has to be asked about it.
    case byPath
    /// Denied by what its path leads to, which is only known with an answer.
    case byRoots
  }

  /// How long after a change workers may still go by the list before it: each has a turn of its own.
  static let denialBound = Interval.milliseconds(20)

  /// The operator's list, and what it has said.
  final class Listing {
    private let key = DenyKey()
    private var text: DenylistText
    private(set) var list: Denylist
    /// Rules that deny now, by their content's number, and what they say.
    fileprivate var rules: [Int: (text: String, ruling: Ruling)] = [:]
    /// All rulings on a content, in order.
    fileprivate var rulings: [Int: [(from: Instant, ruling: Ruling)]] = [:]
    /// Which content nodes gave in the place of another one, and when, by that one's number.
    var swapped: [Int: [(time: Instant, given: Content)]] = [:]
    /// When something was last on its way out of the cache.
    fileprivate(set) var lastSweep = Instant.zero

    init() {
      text = DenylistText(expecting: 64, key: key)
      list = Denylist([text.rules], key: key, generation: 1)
    }

    /// Appends lines; the change as the file's watch would tell of it.
    fileprivate func append(_ line: String) -> DenylistChange {
      var added = DenylistText(expecting: 1, key: key)
      _ = added.read(Array("\(line)\n".utf8).rawBytes)
      _ = text.read(Array("\(line)\n".utf8).rawBytes)
      list = Denylist([text.rules], key: key, generation: list.generation + 1)
      return DenylistChange(
        list: list, added: Denylist([added.rules], key: key, generation: list.generation))
    }

    /// Writes the file anew with the rules that hold; of the same generation where nothing has changed.
    fileprivate func rewrite(isSame: Bool) -> DenylistChange {
      text = DenylistText(expecting: 64, key: key)
      for (_, rule) in rules.sorted(by: { $0.key < $1.key }) {
        _ = text.read(Array("\(rule.text)\n".utf8).rawBytes)
      }
      let generation = list.generation + (isSame ? 0 : 1)
      list = Denylist([text.rules], key: key, generation: generation)
      let nothing = Denylist([DenyRules()], key: key, generation: generation)
      return DenylistChange(list: list, added: isSame ? nothing : nil)
    }

    /// What has held of a content all along since then for all workers; nil where that has changed.
    func ruling(on content: Content, since start: Instant) -> Ruling? {
      let all = rulings[content.number] ?? []
      guard let last = all.last else { return .allowed }
      return last.from + World.denialBound <= start ? last.ruling : nil
    }

    /// Whether it was denied at some moment since then.
    func denied(_ content: Content, since start: Instant) -> Bool {
      let all = rulings[content.number] ?? []
      return all.indices.contains { place in
        all[place].ruling != .allowed
          && (place + 1 == all.count || all[place + 1].from + World.denialBound >= start)
      }
    }
  }

  // MARK: The plan

  func scheduleDenials(within span: Int, of favourites: [Content]) {
    guard isListed else { return }
    for _ in 0..<random.number(in: 2...8) {
      let favourite = favourites[random.number(in: 0...favourites.count - 1)]
      network.after(.milliseconds(random.number(in: 0...span))) { [self] in change(favourite) }
    }
    sweepNowAndThen()
  }

  /// Denies a content, or takes the denial back.
  private func change(_ content: Content) {
    guard let listing else { return }
    let change: DenylistChange
    var ruling = Ruling.allowed
    if let rule = listing.rules[content.number] {
      listing.rules[content.number] = nil
      change =
        random.chance(0.5) ? listing.append("!\(rule.text)") : listing.rewrite(isSame: false)
    } else if random.chance(0.15) {
      // The same rules in another table.
      tell(listing.rewrite(isSame: true))
      return
    } else {
      let rule = rule(on: content)
      ruling = rule.ruling
      listing.rules[content.number] = rule
      change = listing.append(rule.text)
    }
    listing.rulings[content.number, default: []].append((network.now, ruling))
    listing.lastSweep = network.now
    note(content.number, Int(change.list.generation))
    tell(change)
    network.after(Self.denialBound) { [self] in checkHands() }
  }

  private func tell(_ change: DenylistChange) {
    plan.gateway.denials?.take(change.list)
    if isUp { machine.gateway.take(change, at: network.now) }
  }

  private func rule(on content: Content) -> (text: String, ruling: Ruling) {
    let root = content.roots.prefix { $0 != "," }
    let byCID = "/ipfs/\(content.cid)"
    guard root != content.cid else {
      return (random.chance(0.5) ? byCID : byCID + "/*", .byPath)
    }
    switch random.number(in: 0...5) {
    case 0: return (content.target, .byPath)
    case 1: return ("/ipfs/\(root)", .byPath)
    case 2: return ("/ipfs/\(root)/*", .byPath)
    default: return (byCID, .byRoots)
    }
  }

  /// As the thread does that looks at the files.
  private func sweepNowAndThen() {
    network.after(.milliseconds(500)) { [self] in
      let isSweeping = isSweeping
      if isSweeping { listing?.lastSweep = network.now }
      if isUp {
        machine.gateway.sweepIfDue(at: network.now)
        checkHands()
        checkDenied(onDisk: false)
      }
      if !areClientsDone || isSweeping || !isUp { sweepNowAndThen() }
    }
  }

  /// Whether something denied has still to leave the cache.
  var isSweeping: Bool { !(plan.gateway.denials?.sweeps.isIdle ?? true) }

  // MARK: What must hold

  /// What is wrong with an answer's status by what the list says, of a request that was sent then.
  func denialComplaint(
    _ ask: Ask, _ status: Int, _ kind: Answer.Kind, etag: String?, since start: Instant
  ) -> String? {
    guard let listing else { return status == 410 ? "a denial without a list" : nil }
    let given = etag.flatMap { Content.byEtag[$0] }
    if status < 400, let given, let ruling = listing.ruling(on: given, since: start),
      ruling == .byRoots || ruling == .byPath && given.roots == given.cid
    {
      return "#\(given.number) was given, which is denied"
    }
    let ruling = listing.ruling(on: ask.content, since: start)
    switch ruling {
    case nil: return nil
    case .allowed:
      guard status == 410 else { return nil }
      // A node has just given what is denied in its place.
      let mayBe = (listing.swapped[ask.content.number] ?? []).contains { swap in
        swap.time + .seconds(5) >= start
          && listing.denied(swap.given, since: start)
      }
      return mayBe ? nil : "denied, and no rule says so"
    case .byPath: return status == 410 || isTight && status == 429 ? nil : "given though denied"
    case .byRoots:
      if status == 410 || isTight && status == 429 { return nil }
      if !troubles.hasFaultyNodes { return "given though denied by where it leads" }
      return status < 400 && (etag == ask.content.etag || kind == .kept)
        ? "given though denied by where it leads" : nil
    }
  }

  /// Whether a client that asks for a content may have been cut off by the list since then.
  func mayHaveBeenDenied(_ content: Content, since start: Instant) -> Bool {
    guard let listing, !(listing.rulings[content.number] ?? []).isEmpty else { return false }
    // A sweep ends what was begun anew behind its back.
    return listing.denied(content, since: start)
      || listing.lastSweep + .seconds(1) >= start
  }

  /// What is denied by its path is neither given nor fetched by any worker; where else a path leads who asks has to find
  /// out each time.
  private func checkHands() {
    guard let listing, isUp else { return }
    var used: Set<Digest128> = []
    for worker in machine.workers {
      for exchange in worker.active where !exchange.canonicalKey.isEmpty {
        used.insert(exchange.key)
      }
      // One that was cut is there for as long as the writer has jobs of it.
      for driver in worker.drivers.all where !driver.fill.hasFailed {
        if !driver.fill.canonicalKey.isEmpty { used.insert(driver.fill.key) }
      }
    }
    for content in Content.all where listing.ruling(on: content, since: network.now) == .byPath {
      if let key = storageKey(content), used.contains(key) {
        fail("#\(content.number) is denied, and on its way to somebody")
      }
    }
  }

  /// What is denied is not found, and in the end on no disk.
  func checkDenied(onDisk: Bool) {
    // Of what a broken disk wrote nobody knows.
    guard let listing, isUp, !isSweeping, troubles.disk == 0 else { return }
    for content in Content.all {
      let ruling = listing.ruling(on: content, since: network.now)
      guard let ruling, ruling != .allowed, let key = storageKey(content) else { continue }
      if let reader = try? machine.storage.reader(),
        (try? reader.lookUp(key) { _ in true }) == true
      {
        fail("#\(content.number) is denied, and in the index")
      }
      if onDisk, let name = segment(having: content) {
        fail("#\(content.number) is denied, and in \(name)")
      }
    }
  }
}
