internal import HTTP2
internal import Telemetry

extension Counter {
  /// The counter of a connection that ended because of too many frames of a kind.
  static func flood(_ frame: CostlyFrame) -> Counter {
    switch frame {
    case .reset: .http2FloodReset
    case .continuation: .http2FloodContinuation
    case .ping: .http2FloodPing
    case .settings: .http2FloodSettings
    case .emptyData: .http2FloodEmptyData
    case .priority: .http2FloodPriority
    case .windowUpdate: .http2FloodWindowUpdate
    case .fields: .http2FloodFields
    case .other: .http2FloodOther
    }
  }
}
