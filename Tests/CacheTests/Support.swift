import Base
import Foundation
import System

@testable import Cache

/// A folder of its own for one test, removed with it.
final class TemporaryFolder: Sendable {
  let path = FileManager.default.temporaryDirectory.path + "/sluice-test-" + UUID().uuidString

  init() throws(Fault) { try Folder.create(path) }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Options with room for so many segments of 4 MiB.
  func options(segments: Int, sliceSize: Int = 1 << 20) -> CacheOptions {
    var options = CacheOptions(path: path + "/cache", maxSize: (64 << 20) + segments * (4 << 20))
    options.sliceSize = sliceSize
    return options
  }

  var segmentFiles: [String] {
    ((try? Folder.names(in: path + "/cache/segments")) ?? []).sorted()
  }
}

/// What completions said, in order.
final class Heard: Sendable {
  private let events = Monitor([String]())
  private let slices = Monitor([Slice]())

  var all: [String] { events.with { $0 } }
  var written: [Slice] { slices.with { $0 } }

  func note(_ name: String) -> WriteJob.Completion {
    { [self] event in
      switch event {
      case .written(let slice):
        slices.with { $0.append(slice) }
        events.with { $0.append(name + " written") }
      case .committed: events.with { $0.append(name + " committed") }
      case .unlisted(let objects, _): events.with { $0.append(name + " unlisted \(objects)") }
      case .failed(let fault): events.with { $0.append(name + " " + fault.name) }
      }
    }
  }
}

let wall: Int64 = 1_800_000_000

extension DiskStorage {
  /// Does all jobs and what follows from them.
  func settle(now: Instant = .zero) {
    while step(now: now, wallSeconds: wall) {}
    while step(now: now + .seconds(1), wallSeconds: wall) {}
  }

  func record(_ key: Digest128) throws -> Record? {
    let reader = try reader()
    return try reader.lookUp(key) { Record($0) } ?? nil
  }
}

extension DiskStorage {
  func text(_ text: String) -> Digest128 { hash(Array(text.utf8).rawBytes) }

  /// A record for a text key, under a new stamp.
  func newRecord(_ text: String, _ totalBytes: Int) -> Record {
    Record(
      key: Array(text.utf8), stamp: newStamp(), status: 200, totalBytes: totalBytes,
      sliceShift: UInt8(options.sliceSize.trailingZeroBitCount), created: wall)
  }

  func bytes(of slice: Slice, _ count: Int) throws -> [UInt8]? {
    guard !slice.isAbsent, let pin = try pin(slice.segment) else { return nil }
    defer { unpin(pin) }
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { buffer throws in
      try read(pin, at: Int(slice.offset), into: buffer)
    }
    return got == count ? bytes : nil
  }
}

func randomBytes(_ count: Int, _ random: inout SeededRandom) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) }
  }
  return Array(bytes.prefix(count))
}

// Macros take no span as an argument: these do it for them.
extension [UInt8] {
  var record: Record? { Record(rawBytes) }
  var view: RecordView? { RecordView(rawBytes) }
  func block(_ number: UInt32) -> SliceBlock? { SliceBlock(rawBytes, number: number) }
  var checksum: UInt64 { Slice.checksum(of: rawBytes) }

  func slice(_ place: Int, stamp: UInt64) -> Slice {
    SliceBlock.slice(place, stamp: stamp, in: rawBytes)
  }

  func entries(trailer: [UInt8]) -> [SegmentEntry]? {
    SegmentLayout.footerEntries(rawBytes, trailer: trailer.rawBytes)
  }

  func entryBytes(number: UInt32, size: Int) -> Int? {
    SegmentLayout.footerEntryBytes(trailer: rawBytes, number: number, size: size)
  }
}
