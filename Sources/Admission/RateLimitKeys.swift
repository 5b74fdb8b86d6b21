public import Base
internal import HTTP

/// What of a request limits are keyed by; its bytes are looked at and not kept.
public struct RateLimitSubject: ~Escapable {
  /// Who asks.
  public var address: NetworkAddress
  /// The host that is asked, with a port or without.
  public var host: RawSpan
  /// The value of `Authorization`; empty where there is none.
  public var authorization: RawSpan

  @_lifetime(copy host, copy authorization)
  public init(address: NetworkAddress, host: RawSpan, authorization: RawSpan) {
    self.address = address
    self.host = host
    self.authorization = authorization
  }
}

/// A limit's way from a request to the key that its state is kept under.
struct RateLimitKeying: Equatable, Sendable {
  private enum Source { case network, host, token }

  private let source: Source
  // The bits of an address that count.
  private let ipv4: UInt64
  private let high: UInt64
  private let low: UInt64

  init(_ key: RateLimit.Key) {
    var bits = (ipv4: 32, ipv6: 64)
    switch key {
    case .client: source = .network
    case .network(let ipv4Bits, let ipv6Bits):
      source = .network
      bits = (ipv4Bits, ipv6Bits)
    case .host: source = .host
    case .token: source = .token
    }
    let ipv6 = min(max(bits.ipv6, 0), 128)
    // All that stands above the address in a mapped one, and so many bits of it; a shift by 64 or more gives zero.
    ipv4 = ~(UInt64.max >> UInt64(32 + min(max(bits.ipv4, 0), 32)))
    high = ~(UInt64.max >> UInt64(min(ipv6, 64)))
    low = ~(UInt64.max >> UInt64(max(0, ipv6 - 64)))
  }

  /// The key, hashed with a secret of the process, so that nobody can look for two that are one.
  @inline(__always)
  func key(of subject: borrowing RateLimitSubject, _ memory: RateLimitKeyMemory) -> Digest128 {
    if case .network = source { return network(of: subject.address, memory) }
    return keyOfText(subject, memory)
  }

  @inline(never)
  private func keyOfText(
    _ subject: borrowing RateLimitSubject, _ memory: RateLimitKeyMemory
  ) -> Digest128 {
    if case .host = source { return host(of: subject.host, memory.secret) }
    let token = Self.token(subject.authorization)
    // A client without a token is one by its address; no token has its key.
    if token.byteCount == 0 { return network(of: subject.address, memory) }
    return SipHash.hash128(token, key: Self.varied(memory.secret, 1))
  }

  /// Kinds of keys have hashes of their own.
  private static func varied(_ secret: SipKey, _ kind: UInt64) -> SipKey {
    SipKey(first: secret.first ^ kind, second: secret.second)
  }

  @inline(__always)
  private func network(of address: NetworkAddress, _ memory: RateLimitKeyMemory) -> Digest128 {
    address.isIPv4
      ? memory.key(address.high, address.low & ipv4)
      : memory.key(address.high & high, address.low & low)
  }

  /// The host without its port and the root's dot, in lower case; of one that is longer than names can be, its
  /// beginning.
  private func host(of authority: RawSpan, _ secret: SipKey) -> Digest128 {
    var name = InlineArray<256, UInt8>(repeating: 0)
    var end = Authority.hostEnd(authority)
    if end > 1, authority.byte(end - 1) == UInt8(ascii: ".") { end -= 1 }
    let count = min(end, name.count)
    for index in 0..<count { name[index] = authority.byte(index).asciiLowercased }
    return unsafe SipHash.hash128(
      name.span.bytes.extracting(0..<count), key: Self.varied(secret, 2))
  }

  /// What follows `Bearer` (RFC 6750, section 2.1); empty for other credentials.
  @_lifetime(copy value)
  static func token(_ value: RawSpan) -> RawSpan {
    guard value.hasPrefixIgnoringCase("bearer ") else { return value.extracting(0..<0) }
    return value.bytes(value.trimmed(from: 7, to: value.byteCount))
  }
}
