public import Base

/// The fields that tell a client of limits (draft-ietf-httpapi-ratelimit-headers, in its form of structured
/// fields).
///
/// Only refusals have them: answers that pass are public and may be kept for a year on the way, where one client's
/// allowance is nobody else's business.
enum RateLimitFields {
  /// The value of `RateLimit-Policy`: quota, and where it is one over time, the window in whole seconds.
  static func policy(_ limit: RateLimit) -> [UInt8] {
    switch limit.measure {
    case .requests(let rate, let burst, _, _):
      let quota = burst + 1
      return Array("\"\(limit.name)\";q=\(quota);w=\(window(quota, rate))".utf8)
    case .bytes(let rate, let burst):
      return Array(
        "\"\(limit.name)\";q=\(burst);qu=\"content-bytes\";w=\(window(burst, rate))".utf8)
    case .concurrent(let most):
      return Array("\"\(limit.name)\";q=\(most);qu=\"concurrent-requests\"".utf8)
    }
  }

  /// The seconds in which a whole quota is earned.
  private static func window(_ quota: Int, _ rate: Rate) -> Int {
    max(1, Int((Double(quota) * rate.nanosecondsPerUnit / 1e9).rounded(.up)))
  }
}

extension RateLimiter {
  /// Appends the value of `RateLimit`: what is left, and when all of it is there again.
  public func appendState(of refusal: RateLimitRefusal, to output: inout ByteBuffer) {
    output.append("\"")
    output.append(limit(refusal).name)
    output.append("\";r=")
    output.append(decimal: refusal.remaining)
    if let reset = refusal.resetAfter {
      output.append(";t=")
      output.append(decimal: reset)
    }
  }

  /// What a client is told in words.
  public func sentence(_ refusal: RateLimitRefusal) -> String {
    switch rules[refusal.limit].kind {
    case .requests: "too many requests; try again in \(refusal.retryAfter) s"
    case .bytes: "too many bytes have been sent to you; try again in \(refusal.retryAfter) s"
    case .concurrent: "too many of your requests are under way; try again when one has ended"
    }
  }

  /// The name of the reason, stable in logs.
  public func reason(_ refusal: RateLimitRefusal) -> StaticString {
    switch rules[refusal.limit].kind {
    case .requests: "rate_limited"
    case .bytes: "bytes_limited"
    case .concurrent: "concurrency_limited"
    }
  }
}
