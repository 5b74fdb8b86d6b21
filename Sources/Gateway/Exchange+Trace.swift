internal import Base
internal import HTTP

/// Which trace a request belongs to (W3C Trace Context), and what servers are told of it.
extension Exchange {
  /// Takes the trace that the client names, or begins one where that is wanted.
  ///
  /// `trace` then has a number of this exchange's own as the parent of whatever a server does for it.
  func readTrace(_ text: RawSpan) {
    // Of two nobody knows which is right (section 3.2.1).
    let told = hasManyTraces ? nil : TraceContext(text.bytes(traceParent))
    guard told != nil || worker.startsTraces else {
      traceStates = []
      return
    }
    if told == nil { traceStates = [] }
    var own =
      told
      ?? TraceContext(
        traceHigh: worker.randomNumber, traceLow: worker.randomNumber, parent: 1)
    own.parent = worker.randomNumber
    trace = own
  }

  func forgetTrace() {
    traceParent = .empty
    hasManyTraces = false
    traceStates = []
    trace = nil
  }

  /// The fields that go on with the trace; none where there is none.
  ///
  /// A trace's number does no harm, whoever has made it up. What makes servers record (`sampled`), and up to
  /// 2 KiB that they may keep, are taken from trusted proxies alone (W3C Trace Context, Security Considerations).
  var traceFields: [(name: StaticString, value: [UInt8])] {
    guard var trace else { return [] }
    let isTrusted = client != nil
    trace.isSampled = trace.isSampled && isTrusted
    var value = ByteBuffer(capacity: 64)
    trace.append(to: &value)
    var fields: [(name: StaticString, value: [UInt8])] = [("traceparent", value.readable.array)]
    guard isTrusted, !traceStates.isEmpty else { return fields }
    let state: [UInt8] = text.withReadable { text in
      Array(traceStates.map { text.bytes($0).array }.joined(separator: Array(",".utf8)))
    }
    if TraceContext.isState(state.rawBytes) { fields.append(("tracestate", state)) }
    return fields
  }
}
