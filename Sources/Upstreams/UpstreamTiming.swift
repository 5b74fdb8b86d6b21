public import Base

/// How long one request to a server took, from the turn in which it was begun.
public struct UpstreamTiming: Equatable, Sendable {
  /// Until there was a connection, TLS included; zero where one was kept.
  public var connect = Interval.zero
  /// Until the first byte of the answer, connecting included; for a request that has a body from its end on,
  /// and zero where the answer came before.
  public var firstByte = Interval.zero

  public init() {}
}
