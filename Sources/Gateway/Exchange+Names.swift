internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Router
internal import Server
internal import Telemetry
internal import Upstreams

/// Content by a name: what the name leads to is looked up first, then it is content like any other.
extension Exchange {
  /// The name as the table has it: a key by its multihash, whatever its spelling, a DNSLink name in lower
  /// case.
  var name: [UInt8] {
    path.withReadable { NameTable.canonical($0.bytes(root)) }
  }

  /// Finds out what the name leads to, and goes on from there.
  func resolve() {
    switch worker.gateway.names.find(name, now: worker.loop.now) {
    case .fresh(let entry): lead(to: entry)
    case .due(let entry):
      worker.nameLookUps.ask(worker, name, key: requestedCID, nameQuestion, nameRequest, for: nil)
      lead(to: entry)
    case .past, .unknown:
      if onlyIfCached {
        refuse(status: 412, "this name is not known here, and only the cache may answer")
      } else if case .failing(let status, let wait) = worker.gateway.absences.standing(
        of: NameTable.absenceKey(name), at: worker.loop.now)
      {
        nameLookedUp(isElsewhere: false, failing: (status, wait))
      } else if worker.searches.isFull,
        worker.gateway.absences.hasFailed(NameTable.absenceKey(name), at: worker.loop.now)
      {
        refuseSearch()
      } else if paysForMiss() {
        steps.begin(.name, at: worker.loop.now)
        worker.nameLookUps.ask(
          worker, name, key: requestedCID, nameQuestion, nameRequest, for: self)
      }
    }
  }

  /// The look-up that this exchange waited for has ended.
  ///
  /// - Parameters:
  ///   - isElsewhere: whether there was an answer, and it did not tell what the name leads to.
  ///   - fault: why there was none.
  ///   - failing: the failure a moment ago for which nobody has been asked.
  func nameLookedUp(
    isElsewhere: Bool, fault: Fault? = nil, failing: (status: Int, wait: Interval)? = nil
  ) {
    steps.end(at: worker.loop.now)
    if isElsewhere {
      passThroughNamed()
      return
    }
    switch worker.gateway.names.find(name, now: worker.loop.now) {
    case .fresh(let entry), .due(let entry), .past(let entry): lead(to: entry)
    case .unknown:
      if let failing {
        worker.counters.add(.absenceAnswerFailing)
        fail(status: failing.status, wait: failing.wait)
      } else if let fault {
        // Whoever was silent once would be so again.
        refuse(fault)
      } else {
        passThroughNamed()
      }
    }
  }

  /// The answer is for this client to see: a redirect, an error, or one that says not to keep it.
  private func passThroughNamed() {
    reason = NotStored.bypass.name
    passThrough()
  }

  private var nameQuestion: NameQuestion {
    path.withReadable { path in
      let below = asked.map { path.bytes($0.remainder).array } ?? []
      return NameQuestion(
        path: path.extracting(0..<min(root.end, path.byteCount)).array,
        segments: below.split(separator: UInt8(ascii: "/")).count)
    }
  }

  private func lead(to entry: NameEntry) {
    guard let asked else { return }
    naming = entry
    canonicalKey.clear()
    path.withReadable { path in
      text.withReadable { text in
        CanonicalKey.append(
          asked, text: text, root: entry.root, remainder: path.bytes(asked.remainder),
          to: &canonicalKey)
      }
    }
    key = canonicalKey.withReadable { worker.gateway.storage.hash($0) }
    if refuseIfDenied() { return }
    lookUp()
  }

  /// A HEAD of the path that the client asked for.
  private var nameRequest: UpstreamRequest {
    let path = text.withReadable { Self.pathOnly($0.bytes(target)).array }
    var request = UpstreamRequest(
      method: .head, target: path.isEmpty ? [UInt8(ascii: "/")] : path, host: upstreamHost,
      fields: forwardedFields + traceFields)
    request.region = region
    return request
  }

  /// Forgets a name whose content turned out to be another by now.
  func forgetName() {
    guard naming != nil else { return }
    worker.gateway.names.forget(name)
  }
}

extension NameTable {
  /// Under which key it is remembered that a name was looked for in vain: no canonical key begins so.
  static func absenceKey(_ name: [UInt8]) -> [UInt8] { [0] + name }

  /// One form for all spellings of a name.
  static func canonical(_ name: RawSpan) -> [UInt8] {
    if let cid = try? CID.parse(name) {
      var key = ByteBuffer(capacity: 64)
      key.append(0)
      cid.appendMultihash(to: &key)
      return key.readable.array
    }
    let lower = name.array.map(\.asciiLowercased)
    return lower.last == UInt8(ascii: ".") ? lower.dropLast() : lower
  }
}
