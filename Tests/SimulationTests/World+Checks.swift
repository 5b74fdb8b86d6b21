import Base
import HTTP
import HTTP1
import Router
import Telemetry

@testable import Admission
@testable import Cache
@testable import Gateway

extension World {
  // MARK: What must hold at the end

  func checkRest() {
    if let limiter = machine.gateway.options.rateLimits {
      if limiter.underWay != 0 { fail("\(limiter.underWay) requests stay counted as under way") }
      for report in limiter.reports where report.losses + (isTight ? 0 : report.refusals) != 0 {
        fail("the limit \(report.name) has refused or lost somebody")
      }
    }
    for worker in machine.workers {
      if worker.counters.value(.exchangesActive) != 0 { fail("exchanges do not end") }
      if worker.counters.value(.fillsActive) != 0 { fail("fills are not freed") }
      if worker.counters.value(.upstreamConnectionsBusy) != 0 { fail("upstream requests go on") }
    }
    let memory = machine.gateway.memory
    for use in [SliceBudget.Use.kept, .passed] where memory.bytes(use) != 0 {
      fail("\(memory.bytes(use)) bytes of \(use) slices are not given back")
    }
    if machine.gateway.fills.count != 0 {
      fail("\(machine.gateway.fills.count) fills stay in their table")
    }
    for server in machine.gateway.upstreams.servers where server.active != 0 {
      fail("\(server.name) has \(server.active) active requests")
    }
  }

  /// Where all is well upstream nothing may look like trouble.
  func checkCounters() {
    guard !troubles.hasFaultyNodes else { return }
    var bad: [Counter] = [
      .timeoutUpstreamConnect, .timeoutUpstreamFirstByte,
      .timeoutUpstreamBetweenBytes, .timeoutClientSend, .timeoutClientHeader,
      .notStoredForeignAnswer, .notStoredMismatch, .notStoredTruncated, .notStoredNoLength,
    ]
    if !troubles.losesSlices { bad.append(.requestError) }
    for worker in machine.workers {
      for counter in bad where worker.counters.value(counter) != 0 {
        // A removal breaks answers off, and so does a denial.
        if counter == .requestError && (!removals.isEmpty || isListed) { continue }
        fail("\(counter.rawValue) is \(worker.counters.value(counter))")
      }
    }
  }

  func checkLeaks() {
    if network.openEnds != 0 { fail("\(network.openEnds) ends of connections stay open") }
    for worker in machine.workers {
      let gauges: [Gauge] = [
        .clientConnections, .upstreamConnectionsIdle, .upstreamConnectionsBusy, .exchangesActive,
      ]
      for gauge in gauges where worker.counters.value(gauge) != 0 {
        fail("\(gauge.rawValue) is \(worker.counters.value(gauge))")
      }
    }
  }

  /// All that has been kept is what it says it is; at the end nothing is named that has gone.
  func checkDisk(atEnd: Bool) {
    do {
      let found = try Content.all.count { try check($0, atEnd) }
      let entries = machine.storage.counters.snapshot.entries
      if found != entries { fail("\(entries) records in the index, \(found) of them known") }
    } catch {
      fail("the disk cannot be read: \(error)")
    }
  }

  func checkLedger() {
    do {
      try ledger.check { fail($0) }
    } catch {
      fail("the index cannot be read: \(error)")
    }
  }

  /// Whether the index has a record of the content; what that names is measured.
  private func check(_ content: Content, _ atEnd: Bool) throws -> Bool {
    let storage = machine.storage
    let reader = try storage.reader()
    defer { reader.endTurn() }
    guard let key = storageKey(content), let found = try reader.lookUp(key, { Record($0) }) else {
      return false
    }
    guard let record = found, record.status == 200, record.etag == Array(content.etag.utf8),
      record.totalBytes == content.bytes.count
    else {
      fail("the record of #\(content.number) is not its own")
      return true
    }
    for index in 0..<record.sliceCount {
      let slice = try reader.slice(index, of: record, key)
      guard !slice.isAbsent else { continue }
      guard let file = try storage.segments.pin(slice.segment) else {
        // A commit that failed may have lost what was to move on; a later segment's end clears that.
        if atEnd && troubles.disk == 0 {
          fail("slice \(index) of #\(content.number) is named in a segment that is gone")
        }
        continue
      }
      defer { storage.segments.unpin(slice.segment) }
      let start = index << Int(record.sliceShift)
      var bytes = [UInt8](
        repeating: 0, count: min(1 << Int(record.sliceShift), record.totalBytes - start))
      // Past the troubles of this disk: what is there counts.
      let read = try bytes.withUnsafeMutableBytes { room throws in
        try file.read(at: Int(slice.offset), into: room)
      }
      let isRight = bytes.withUnsafeBytes { content.matches($0, at: start) }
      if read != bytes.count || !isRight
        || Slice.checksum(of: bytes.rawBytes) != slice.checksum
      {
        fail("slice \(index) of #\(content.number) is stored wrong (\(slice))")
      }
    }
    return true
  }

  func storageKey(_ content: Content) -> Digest128? {
    let text = Ask(content: content).wire
    var parser = RequestParser()
    var head = RequestHead()
    var path = ByteBuffer(capacity: 256)
    var key = ByteBuffer(capacity: 256)
    guard case .complete = parser.parse(text.rawBytes, into: &head),
      case .content = Router.route(head, text: text.rawBytes, path: &path, key: &key)
    else { return nil }
    return machine.storage.hash(key.readable)
  }
}
