import Base

extension World {
  // MARK: The plan

  func schedule() {
    let span = random.number(in: 1_000...8_000)
    let favourites = (0..<random.number(in: 3...12)).map { _ in
      Content.all[random.number(in: 0...Content.all.count - 1)]
    }
    scheduleRemovals(within: span, of: favourites)
    scheduleDenials(within: span, of: favourites)
    for _ in 0..<random.number(in: 10...40) {
      let time = random.number(in: 0...span * 1_000)
      // A crowd asks for one thing at the same moment.
      let isCrowd = random.chance(0.2)
      let content = favourites[random.number(in: 0...favourites.count - 1)]
      for _ in 0..<(isCrowd ? random.number(in: 3...12) : 1) {
        start(at: time + random.number(in: 0...2_000), isCrowd ? content : nil, favourites)
      }
    }
    if troubles.drains {
      network.after(.milliseconds(random.number(in: 0...span))) { [self] in
        mayRefuse = true
        machine.servers[1].drain {}
      }
    }
    for _ in 0..<troubles.deaths {
      network.after(.milliseconds(random.number(in: 100...span))) { [self] in dieSoon() }
    }
    guard troubles.hasFaultyNodes else { return }
    for node in nodes where troubles.nodes[node.number] > 0.3 {
      for _ in 0..<random.number(in: 0...3) {
        network.after(.milliseconds(random.number(in: 0...span))) { node.close() }
        network.after(.milliseconds(random.number(in: 0...span * 2))) { node.open() }
      }
      network.after(.milliseconds(span * 2)) { node.open() }
    }
  }

  private func start(at microseconds: Int, _ content: Content?, _ favourites: [Content]) {
    var manners = Manners()
    manners.pipelines = random.chance(0.3)
    manners.halfCloses = random.chance(0.05)
    if random.chance(0.15) {
      manners.abortsAfter = .microseconds(random.number(in: 0...100_000))
    }
    if random.chance(0.3) {
      manners.gulp = random.number(in: 200...20_000)
      manners.pauses = 0.3
    }
    let count = content == nil ? random.number(in: 1...6) : random.number(in: 1...2)
    let asks = (0..<count).map { index in
      let anything = Content.all[random.number(in: 0...Content.all.count - 1)]
      let favourite = favourites[random.number(in: 0...favourites.count - 1)]
      var ask = ask(index == 0 ? content ?? favourite : random.chance(0.2) ? anything : favourite)
      ask.closes = index == count - 1 && random.chance(0.3)
      return ask
    }
    let client = Client(self, clients.count, asks, manners)
    clients.append(client)
    starting += 1
    network.after(.microseconds(microseconds)) { [self] in
      starting -= 1
      client.start()
    }
  }

  private func ask(_ content: Content) -> Ask {
    var ask = Ask(content: content)
    ask.isHead = random.chance(0.1)
    let total = content.bytes.count
    if random.chance(0.4) {
      let first = random.number(in: 0...total + total / 8)
      let edge = random.number(in: 0...total / 65_536) * 65_536 + random.number(in: 0...1)
      switch random.number(in: 0...6) {
      case 0: ask.range = "bytes=\(first)-\(first + random.number(in: 0...total))"
      case 1: ask.range = "bytes=\(first)-"
      case 2: ask.range = "bytes=-\(first)"
      case 3: ask.range = "bytes=0-\(first)"
      case 4: ask.range = "bytes=\(edge)-\(edge + random.number(in: 0...100_000))"
      case 5: ask.range = "bytes=\(max(0, edge - 2))-\(edge)"
      default:
        ask.range = ["bytes=5-3", "bytes=x", "lines=1-2", "bytes=0-0"].randomElement(using: &random)
      }
      if random.chance(0.2) { ask.condition = random.chance(0.5) ? .ifRange : .ifRangeOther }
    } else if random.chance(0.15) {
      ask.condition = random.chance(0.5) ? .noneMatch : .noneMatchOther
    }
    return ask
  }
}
