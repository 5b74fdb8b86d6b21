internal import Admission
internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Logging
internal import Router
internal import Server
internal import System

/// Content that the denylist names: refused before anything else is done for it, and cut off where a rule comes while it
/// is given.
extension Exchange {
  /// The reason in the access log and in Cache-Status.
  static let denied: StaticString = "denied"

  // MARK: Before anything else

  /// Refuses content whose key is known, if it is denied; whether it was.
  func refuseIfDenied() -> Bool {
    guard let denials = worker.denials else { return false }
    if denials.isCleared(key) {
      isCleared = true
      return false
    }
    guard let asked, let root = contentRoot else { return false }
    let finding =
      denials.denial(of: key)
      ?? path.withReadable { denials.list.denial(of: root, path: $0.bytes(asked.remainder)) }
    if let finding {
      refuse(finding)
      return true
    }
    if asked.remainder.isEmpty {
      denials.clear(key)
      isCleared = true
    }
    return false
  }

  /// The same for what a request asks by its decoded path, or by its target and host where there is none.
  func refuseIfPathIsDenied() -> Bool {
    guard let denials = worker.denials else { return false }
    // No canonical key begins as a path does, so neither is taken for the other.
    let pathKey: Digest128? =
      path.isEmpty ? nil : path.withReadable { worker.gateway.storage.hash($0) }
    if let pathKey, denials.isCleared(pathKey) { return false }
    guard let finding = denialByPath(denials.list) else {
      if let pathKey { denials.clear(pathKey) }
      return false
    }
    refuse(finding)
    return true
  }

  /// Keeps the path of a request that is passed through: what it leads through is only known with the answer.
  func notePassedPath(_ target: RawSpan) {
    guard worker.denials != nil else { return }
    if !path.isEmpty {
      path.withReadable { passedPath.append($0) }
      return
    }
    // As a host of its own would have it: decoded, and whatever it begins with.
    let prefix = Array("/ipns/-".utf8)
    if (try? ContentPath.parse((prefix + target.array).rawBytes, decoded: &passedPath)) != nil {
      passedPath.consume(prefix.count)
    }
  }

  private func denialByPath(_ list: Denylist) -> DenyFinding? {
    if !path.isEmpty { return path.withReadable { list.denial(ofPath: $0) } }
    if let finding = passedPath.withReadable({ list.denial(ofPath: $0) }) { return finding }
    return text.withReadable { text in
      list.denial(ofTarget: text.bytes(target), host: text.bytes(host))
    }
  }

  // MARK: What a path leads through

  /// By what a record's roots, or its Etag's CID, are denied; nil where they are not.
  func denial(of record: RecordView, _ bytes: RawSpan) -> DenyFinding? {
    guard let denials = worker.denials, !isCleared else { return nil }
    let finding = denial(of: record, bytes, by: denials.list)
    note(finding, denials, isKept: true)
    return finding
  }

  private func denial(
    of record: RecordView, _ bytes: RawSpan, by list: Denylist
  ) -> DenyFinding? {
    var finding: DenyFinding?
    record.forEachField(in: bytes) { name, value in
      guard finding == nil, bytes.bytes(name).equalsIgnoringCase("x-ipfs-roots") else { return }
      finding = denial(ofRoots: bytes.bytes(value), by: list)
    }
    return finding ?? list.denial(ofEtag: bytes.bytes(record.etag), root: contentRoot)
  }

  /// The same for an answer's head.
  func denial(of head: AnswerHead) -> DenyFinding? {
    guard let denials = worker.denials else { return nil }
    // What is not kept may be of other content than what was found to be allowed.
    if isCleared && head.notStored == nil { return nil }
    let finding = denial(of: head, by: denials.list)
    // One that may be of other content is refused, and says nothing of what was asked for.
    if finding == nil || head.notStored == nil || head.leadsToDenied {
      note(finding, denials, isKept: head.notStored == nil)
    }
    return finding
  }

  /// The same for what a site says in the place of content that is not there; nothing is remembered of it.
  func denial(ofPage head: AnswerHead) -> DenyFinding? {
    worker.denials.flatMap { denial(of: head, by: $0.list) }
  }

  private func denial(of head: AnswerHead, by list: Denylist) -> DenyFinding? {
    let roots = head.fields.first { $0.name.rawBytes.equalsIgnoringCase("x-ipfs-roots") }
    return roots.flatMap { denial(ofRoots: $0.value.rawBytes, by: list) }
      ?? list.denial(ofEtag: head.etag.rawBytes, root: contentRoot)
  }

  private func denial(ofRoots roots: RawSpan, by list: Denylist) -> DenyFinding? {
    guard let asked else {
      return passedPath.withReadable { list.denial(ofRoots: roots, hostPath: $0) }
    }
    // What a name leads to may be another root by now than the one that was asked about.
    return path.withReadable {
      list.denial(
        ofRoots: roots, path: $0.bytes(asked.remainder), asksRoot: asked.namespace == .ipns)
    }
  }

  private func note(_ finding: DenyFinding?, _ denials: WorkerDenials, isKept: Bool) {
    guard !canonicalKey.isEmpty else { return }
    if let finding {
      denials.note(finding, of: key)
      worker.gateway.removeDenied(canonicalKey.withReadable { $0.array })
    } else if isKept {
      // What is kept tells all of its roots.
      denials.clear(key)
      isCleared = true
    }
  }

  // MARK: Another list

  /// Ends the answer if it is denied by now.
  ///
  /// - Parameter probe: A list that is asked first: only what it denies can be denied anew.
  func cutIfDenied(first probe: Denylist?) {
    guard let stream, let denials = worker.denials, deniedBy == nil else { return }
    isCleared = false
    if let probe, denialNow(probe) == nil { return }
    guard let finding = denialNow(denials.list) else { return }
    if stream.isUntouched {
      refuse(finding)
    } else {
      deniedBy = finding
      reason = Self.denied
      tell(finding, cut: true)
      breakOff()
    }
  }

  private func denialNow(_ list: Denylist) -> DenyFinding? {
    if let finding = denialByPath(list) { return finding }
    if let naming, let asked {
      let finding = path.withReadable {
        list.denial(of: naming.root, path: $0.bytes(asked.remainder))
      }
      if let finding { return finding }
    }
    if let head = reader?.fill.head { return denial(of: head, by: list) }
    guard !canonicalKey.isEmpty else { return nil }
    do throws(Fault) {
      let found = try worker.index.lookUp(key) { bytes -> DenyFinding? in
        RecordView(bytes).flatMap { denial(of: $0, bytes, by: list) }
      }
      return found ?? nil
    } catch {
      return nil
    }
  }

  // MARK: The answer

  /// Says that this may not be given, and to nobody else than the log why.
  func refuse(_ finding: DenyFinding) {
    outcome = .none
    reason = Self.denied
    deniedBy = finding
    tell(finding, cut: false)
    leaveFill()
    // Nothing is repeated of what was asked for.
    path.clear()
    passedPath.clear()
    naming = nil
    refuse(
      status: finding.mark.status,
      finding.mark.status == 451
        ? "this content may not be given here, for legal reasons"
        : "this content may not be given here")
  }

  /// Counts it, and tells the log which rule it was, at most every ten seconds.
  private func tell(_ finding: DenyFinding, cut: Bool) {
    let gateway = worker.gateway
    guard let denials = gateway.options.denials else { return }
    denials.count(finding, cut: cut)
    guard let count = denials.pace.due(at: worker.loop.now) else { return }
    let log = gateway.log
    // The rule's text is on the disk; where nobody can read it now its place says enough.
    _ = gateway.disk.submit {
      log.notice(
        "denied content was asked for",
        metadata: [
          "count": .stringConvertible(count), "rule": .string(denials.text(of: finding) ?? ""),
          "at": .string(denials.place(of: finding)),
          "status": .stringConvertible(finding.mark.status),
        ])
    }
  }
}
