internal import Base
internal import HTTP
internal import Logging
internal import Server
internal import Telemetry

/// A line in the program's own log for a request that took long: where its time went.
extension Exchange {
  /// The bytes of a target that such a line shows.
  private static let shownBytes = 200

  /// Counts a slow request, and tells of it unless another one was told of a moment ago.
  func noteSlow(_ stream: ClientStream, _ duration: Interval, _ now: Instant) {
    worker.counters.add(.slowRequest)
    guard let count = worker.gateway.slowPace.due(at: now) else { return }
    var metadata: Logger.Metadata = [
      "seconds": Self.seconds(duration), "status": .stringConvertible(stream.status),
      "method": .string(method.text.description), "cache": .string(outcome.name.description),
      "bytes": .stringConvertible(stream.bodyBytes),
    ]
    if count > 1 { metadata["others"] = .stringConvertible(count - 1) }
    text.withReadable { text in
      let shown = text.bytes(target)
      let isCut = shown.byteCount > Self.shownBytes
      let bytes = shown.extracting(0..<min(shown.byteCount, Self.shownBytes)).array
      if !bytes.isEmpty {
        metadata["target"] = .string(String(decoding: bytes, as: UTF8.self) + (isCut ? "…" : ""))
      }
    }
    if let content = contentRoot { metadata["cid"] = .string("\(content)") }
    if reason.utf8CodeUnitCount > 0 { metadata["reason"] = .string(reason.description) }
    if !loggedServer.isEmpty { metadata["server"] = .string(loggedServer) }
    if let trace {
      var number = ByteBuffer(capacity: 64)
      trace.appendTrace(to: &number)
      metadata["trace_id"] = .string(number.readable.text)
    }
    // What came of the head and of the server's own steps, then what this request waited for.
    note(stream.headTime, as: "in_head", &metadata)
    note(serverTimes.connect, as: "connect", &metadata)
    note(serverTimes.firstByte, as: "first_byte", &metadata)
    for step in RequestSteps.Step.allCases {
      note(steps.time(step, at: now), as: "wait_\(step.label)", &metadata)
    }
    worker.log.warning("a request was slow", metadata: metadata)
  }

  private func note(_ interval: Interval, as name: String, _ metadata: inout Logger.Metadata) {
    if interval > .zero { metadata[name] = Self.seconds(interval) }
  }

  private static func seconds(_ interval: Interval) -> Logger.MetadataValue {
    let milliseconds = max(interval.nanoseconds, 0) / 1_000_000
    let rest = String(milliseconds % 1_000)
    let zeros = String(repeating: "0", count: 3 - rest.count)
    return .string("\(milliseconds / 1_000).\(zeros)\(rest)")
  }
}
