internal import Gateway
internal import Telemetry

/// What the operator's limits have done, by the names that they have in the settings.
extension Metrics {
  static func limits(_ gateway: Gateway) -> [MetricValue] {
    gateway.limitReports.flatMap { report in
      let labels = [MetricValue.Label("limit", report.name)]
      return [
        MetricValue(
          "sluice_rate_limited_total", .counter,
          help: "Requests answered with 429, by the limit that refused them.", labels: labels,
          .integer(report.refusals)),
        MetricValue(
          "sluice_rate_limit_losses_total", .counter,
          help: "States of a limit forgotten before their time, or not kept, for want of room.",
          labels: labels, .integer(report.losses)),
      ]
    }
  }
}
