internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Upstreams

/// Fetches the record of a key's name, to learn when it ends: content by the name may stand in for a while
/// where no upstream answers, but never past that (gateway digest A6).
///
/// Nobody waits for it; without a record that the key has signed there is no such while.
final class NameRecordFetch: UpstreamConsumer {
  private let worker: GatewayWorker
  private let name: [UInt8]
  private let key: CID
  /// What it is the record of: a later look-up makes its own.
  private let resolved: Instant
  /// The region that is asked.
  private let region: Int
  private let body = SliceBuffer(capacity: IPNSRecord.maximumBytes + 1)
  private var isRecord = false
  private var call: UpstreamCall?

  init(_ worker: GatewayWorker, _ name: [UInt8], key: CID, resolved: Instant, region: Int) {
    self.worker = worker
    self.name = name
    self.key = key
    self.resolved = resolved
    self.region = region
  }

  func start() {
    var request = UpstreamRequest(target: Array("/ipns/\(key)?format=ipns-record".utf8))
    request.region = region
    let call = UpstreamCall(worker.pool, request, self)
    self.call = call
    call.start()
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    isRecord = head.status == 200
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    guard isRecord, body.free > 0 else {
      // An error's page, or more than a record has.
      call?.cancel()
      call = nil
      return false
    }
    _ = unsafe body.fill(read)
    return true
  }

  override func failed(_ fault: Fault) { call = nil }

  override func finished(lengthKnown: Bool) {
    call = nil
    let body = body
    let bytes = body.bytes.array
    guard isRecord, let record = try? IPNSRecord.parse(bytes.rawBytes),
      case .match = record.isSigned(by: key)
    else { return }
    let left = record.endOfLife - worker.loop.wallSeconds
    worker.gateway.names.bound(
      name, resolved: resolved,
      ends: worker.loop.now + .seconds(Int(clamping: max(0, min(left, 1 << 30)))),
      grace: worker.gateway.options.staleNames)
  }
}
