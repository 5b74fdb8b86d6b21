internal import Admission
internal import Base
internal import EventLoop
internal import HTTP
internal import Server
internal import System
internal import Telemetry

/// The operator's limits on what clients may ask for.
extension Exchange {
  /// Who asks, for what only some networks may: nil behind a proxy that does not say.
  var knownClient: NetworkAddress? {
    guard let stream else { return client }
    return client ?? (stream.isPeerUnnamed ? nil : stream.peer.networkAddress)
  }

  /// Holds the request against limits; false where it has been refused.
  ///
  /// The client is who a trusted proxy says it is, else the peer; clients that nobody names share one allowance.
  func admit(_ limits: WorkerLimits, _ request: RequestHead, _ text: RawSpan) -> Bool {
    let address = knownClient ?? NetworkAddress(high: 0, low: 0)
    let refusal: RateLimitRefusal? = limits.with { limiter, keys in
      let subject = RateLimitSubject(
        address: address, host: limiter.looksAtHosts ? text.bytes(host) : RawSpan(),
        authorization: limiter.looksAtTokens
          ? text.bytes(request.value(.authorization) ?? .empty) : RawSpan())
      return limiter.admit(subject, &hold, keys, now: worker.loop.now)
    }
    self.limits = limits
    metered = 0
    guard let refusal else { return true }
    refuse(refusal, by: limits)
    return false
  }

  /// Pays what a miss costs more than a hit; false where the request has been refused for it.
  ///
  /// Asked before anything is fetched for the request; once paid, it is paid for.
  func paysForMiss() -> Bool {
    guard let limits,
      let refusal = limits.with({ $0.payForMiss(&hold, now: worker.loop.now) })
    else { return true }
    refuse(refusal, by: limits)
    return false
  }

  /// Is charged what a miss costs more than a hit, for an answer that has begun and cannot be refused any more.
  func owesForMiss() { limits?.with { $0.oweForMiss(&hold, now: worker.loop.now) } }

  /// Notes what has been sent of the answer since the last time, and what was taken of the request's body.
  func meter(taken: Int = 0) {
    guard let limits, let stream else { return }
    limits.with { if $0.hasByteLimits { meter($0, stream, taken: taken) } }
  }

  private func meter(_ limiter: RateLimiter, _ stream: ClientStream, taken: Int = 0) {
    let bytes = Int(stream.bodyBytes &- metered) &+ taken
    metered = stream.bodyBytes
    if bytes > 0 { limiter.note(bytes: bytes, &hold, now: worker.loop.now) }
  }

  /// Ends what the limits know of the request.
  func leaveLimits(_ limits: WorkerLimits, _ stream: ClientStream) {
    self.limits = nil
    limits.with { limiter in
      if limiter.hasByteLimits { meter(limiter, stream) }
      limiter.conclude(&hold)
    }
  }

  private func refuse(_ refusal: RateLimitRefusal, by limits: WorkerLimits) {
    let limiter = limits.limiter
    worker.counters.add(.refusal(status: 429))
    reason = limiter.reason(refusal)
    refuse(status: 429, limiter.sentence(refusal), retryAfter: refusal.retryAfter) { stream in
      stream.field(named: "RateLimit-Policy", limiter.policy(refusal).rawBytes)
      var state = ByteBuffer(capacity: 64)
      limiter.appendState(of: refusal, to: &state)
      stream.field(named: "RateLimit", state.readable)
      // Beside what all answers show to pages of other sites (the Fetch standard, CORS).
      stream.field(.accessControlExposeHeaders, "Retry-After, RateLimit, RateLimit-Policy")
    }
  }
}

/// Limits as one worker asks them, and what it remembers of the keys that they go by.
///
/// Without references that count, since each hit would count them several times: the limiter is kept by the gateway's
/// options, the memory by the worker, and exchanges keep both.
@safe
struct WorkerLimits {
  private let asked: Unmanaged<RateLimiter>
  private let keys: Unmanaged<RateLimitKeyMemory>

  /// - Parameter keys: Made by the limiter, and kept by the caller.
  init(_ limiter: RateLimiter, _ keys: RateLimitKeyMemory) {
    unsafe asked = .passUnretained(limiter)
    unsafe self.keys = .passUnretained(keys)
  }

  var limiter: RateLimiter { unsafe asked.takeUnretainedValue() }

  @inline(__always)
  func with<Result>(_ body: (RateLimiter, RateLimitKeyMemory) -> Result) -> Result {
    unsafe asked._withUnsafeGuaranteedRef { limiter in
      unsafe keys._withUnsafeGuaranteedRef { body(limiter, $0) }
    }
  }

  @inline(__always)
  func with<Result>(_ body: (RateLimiter) -> Result) -> Result {
    unsafe asked._withUnsafeGuaranteedRef { body($0) }
  }
}

extension Gateway {
  /// What one of the operator's limits has done.
  public struct LimitReport: Sendable {
    public var name: String
    /// Requests that it has refused.
    public var refusals: Int
    /// Clients that it has forgotten before their time, or could not count.
    public var losses: Int
  }

  /// All limits, of content and of the cluster's API.
  public var limitReports: [LimitReport] {
    [options.rateLimits, options.clusterRateLimits].compactMap { $0 }.flatMap(\.reports).map {
      LimitReport(name: $0.name, refusals: $0.refusals, losses: $0.losses)
    }
  }
}
