public import Base

/// How long one request to a server took, from the turn in which it was begun.
public struct UpstreamTiming: Equatable, Sendable {
  /// Until there was a connection, TLS included; zero where one was kept.
  public var connect = Interval.zero
  /// Until the first byte of the answer, connecting included.
  public var firstByte = Interval.zero

  public init() {}
}
