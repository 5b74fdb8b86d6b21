import Base
import Cache
import Synchronization
import System

/// Hands objects to the cache's writer as fast as it takes them, and reads what that costs.
final class Feeder {
  private let storage: DiskStorage
  private let make: ObjectMaker
  private let list: ListFile?
  private let outcome = Outcome()
  private let began = Clock.now
  private var next = 0
  private var lastWord = Clock.now

  /// What the writer said of the jobs.
  private final class Outcome: Sendable {
    let failed = Atomic<Int>(0)
    let flushed = Atomic<Bool>(false)
  }

  init(_ options: CacheOptions, _ make: ObjectMaker, list: String?) throws(Fault) {
    self.make = make
    self.list = if let list { try ListFile(list) } else { nil }
    storage = try DiskStorage(options, wallSeconds: Clock.wallSeconds)
    try storage.start()
  }

  var evictions: Int { storage.counters.snapshot.evictions }

  /// Writes so many further objects.
  func feed(_ count: Int) throws(Fault) {
    let created = Clock.wallSeconds
    for _ in 0..<count {
      guard let object = make.object(next, created: created) else { throw Fault(.malformed, .own) }
      next += 1
      try list?.add(object.path)
      submit(object)
      tell()
    }
  }

  private func submit(_ object: ObjectMaker.Object) {
    let key = storage.hash(object.key.rawBytes)
    let stamp = storage.newStamp()
    let shift = UInt8(storage.options.sliceSize.trailingZeroBitCount)
    guard
      let record = object.head.record(
        key: object.key, stamp: stamp, sliceShift: shift, isVerified: true)
    else { return }
    let outcome = outcome
    let hear: WriteJob.Completion = { event in
      if case .failed = event { outcome.failed.add(1, ordering: .relaxed) }
    }
    submit(.put(key: key, record: record, hear))
    let size = storage.options.sliceSize
    for (index, start) in stride(from: 0, to: object.body.count, by: size).enumerated() {
      let end = min(start + size, object.body.count)
      let buffer = SliceBuffer(capacity: end - start)
      buffer.append(object.body.rawBytes.extracting(start..<end))
      submit(.slice(key: key, stamp: stamp, index: index, buffer, hear))
    }
  }

  /// Waits while the writer's queue is full.
  private func submit(_ job: WriteJob) {
    while !storage.submit(job) { pause() }
  }

  /// Waits until everything so far is in the index and on the disk.
  func flush() {
    let outcome = outcome
    outcome.flushed.store(false, ordering: .relaxed)
    submit(.flush { _ in outcome.flushed.store(true, ordering: .releasing) })
    while !outcome.flushed.load(ordering: .acquiring) { pause() }
  }

  private func pause() {
    let nothing = Monitor(0)
    _ = nothing.wait(until: Clock.now + .milliseconds(2)) { _ in Bool?.none }
  }

  func writeList() throws(Fault) { try list?.flush() }

  /// Closes the cache in order.
  func stop() { storage.stop() }

  func reading() -> Reading {
    Reading(
      seconds: (Clock.now - began).seconds, objects: next,
      failed: outcome.failed.load(ordering: .relaxed), storage: storage.counters.snapshot,
      processSeconds: OwnProcess.cpuSeconds,
      writerSeconds: OwnProcess.cpuSeconds(ofThread: "cache-writer"),
      privateBytes: OwnProcess.privateBytes)
  }

  private func tell() {
    guard next % 1000 == 0, Clock.now - lastWord >= .seconds(5) else { return }
    lastWord = Clock.now
    let now = storage.counters.snapshot
    let seconds = Int((lastWord - began).seconds)
    OwnProcess.tell(
      "fill: \(seconds) s, \(next) objects, \(now.entries) kept, \(now.evictions) evictions")
  }
}
