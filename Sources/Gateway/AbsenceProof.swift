internal import Base
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Telemetry
internal import Upstreams

/// What is asked to prove that nothing is at a path.
struct AbsenceQuestion: Equatable {
  /// The request target without its query.
  var path: [UInt8]
  var root: CID
  /// The decoded segments below the root; at least one.
  var segments: [[UInt8]]
  /// The region that is asked.
  var region = 0

  /// The blocks along the path, and no others (gateway digest A6).
  var target: [UInt8] {
    path + Array("?format=car&dag-scope=block&car-order=dfs&car-dups=n".utf8)
  }
}

/// The proofs under way on one worker.
struct AbsenceProofs {
  private var underWay: [AbsenceProof] = []
  /// What sites say of paths, asked for after a proof.
  private var fetches = 0

  /// Whether another one may begin; the failure alone is remembered where it may not.
  var hasRoom: Bool { underWay.count + fetches < GatewayOptions.proofsAtOnce }

  mutating func fetchBegan() { fetches += 1 }
  mutating func fetchEnded() { fetches -= 1 }

  /// Asks for a proof; `proven` is called if there is one.
  mutating func ask(
    _ worker: GatewayWorker, _ question: AbsenceQuestion, proven: @escaping () -> Void
  ) {
    let proof = AbsenceProof(worker, question, proven)
    underWay.append(proof)
    proof.start()
  }

  mutating func end(_ proof: AbsenceProof) { underWay.removeAll { $0 === proof } }

  /// Gives all of them up.
  mutating func close() {
    for proof in underWay { proof.cancel() }
    underWay = []
  }
}

/// Asks an upstream for the blocks along a path, and finds out whether they show that nothing is there.
///
/// They are hashed from the root on, so the upstream's word is not needed: what it sends proves it, or does
/// not.
final class AbsenceProof: UpstreamConsumer {
  private let worker: GatewayWorker
  private let question: AbsenceQuestion
  private let proven: () -> Void
  private var check: CARCheck
  private var call: UpstreamCall?
  private var bytes = ByteBuffer(capacity: AbsenceProof.roomBytes)
  private var count = 0

  /// Most proofs come in one piece of this.
  private static let roomBytes = 16 << 10

  init(_ worker: GatewayWorker, _ question: AbsenceQuestion, _ proven: @escaping () -> Void) {
    self.worker = worker
    self.question = question
    self.proven = proven
    check = CARCheck(
      CARQuestion(
        root: question.root, segments: question.segments,
        parameters: CARParameters(scope: .block, order: .depthFirst, duplicates: false)),
      maximumMemory: GatewayOptions.proofBytes)
  }

  func start() {
    var request = UpstreamRequest(target: question.target)
    request.region = question.region
    let call = UpstreamCall(worker.pool, request, self)
    self.call = call
    call.start()
  }

  func cancel() {
    call?.cancel()
    call = nil
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    if head.status != 200 || head.value(.contentEncoding) != nil { giveUp() }
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    guard call != nil else { return false }
    bytes.clear()
    count += unsafe bytes.fill(atLeast: Self.roomBytes) { unsafe read($0) }
    do throws(CARError) {
      try check.update(bytes.readable)
      if count > GatewayOptions.proofBytes { giveUp() }
    } catch {
      giveUp()
    }
    return call != nil
  }

  override func finished(lengthKnown: Bool) {
    guard call != nil else { return }
    if case .provenAbsent = check.finish().verdict { over(isProven: true) } else { giveUp() }
  }

  override func failed(_ fault: Fault) { giveUp() }

  private func giveUp() {
    guard call != nil else { return }
    cancel()
    over(isProven: false)
  }

  private func over(isProven: Bool) {
    call = nil
    worker.absenceProofs.end(self)
    worker.counters.add(isProven ? .absenceProven : .absenceUnproven)
    if isProven { proven() }
  }
}
