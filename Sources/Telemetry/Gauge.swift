/// What a worker has at this moment, as the series that Prometheus sees (like `Counter`).
public enum Gauge: String, CaseIterable, Sendable {
  case clientConnections = "sluice_client_connections"
  case exchangesActive = "sluice_exchanges_active"
  case fillsActive = "sluice_fills_active"
  case upstreamConnectionsIdle = #"sluice_upstream_connections{state="idle"}"#
  case upstreamConnectionsBusy = #"sluice_upstream_connections{state="busy"}"#

  /// The place in a page: the order of the cases above.
  @inlinable
  public var index: Int {
    // As in `Counter.index`.
    unsafe Int(unsafeBitCast(self, to: UInt8.self))
  }
}
