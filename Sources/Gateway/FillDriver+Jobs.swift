internal import Base
internal import Cache
internal import EventLoop
internal import Logging
internal import Telemetry

/// What goes to the cache writer.
extension FillDriver {
  /// Whether fetches may bring more; not while the writer is far behind.
  var hasRoom: Bool { jobs.count < GatewayOptions.waitingJobs }

  func putRecord(isVerified: Bool) {
    guard
      let record = head?.record(
        key: fill.canonicalKey, stamp: stamp, sliceShift: sliceShift, isVerified: isVerified)
    else { return }
    let (fill, gateway) = (fill, worker.gateway)
    fill.writeBegan()
    submit(
      .put(key: fill.key, record: record) { event in
        if case .failed(let fault) = event {
          gateway.diskRefused(fault)
          fill.stopKeeping()
        }
        fill.writeEnded()
      })
  }

  func write(slice index: Int, _ buffer: SliceBuffer) {
    let (fill, gateway) = (fill, worker.gateway)
    fill.writeBegan()
    submit(
      .slice(key: fill.key, stamp: stamp, index: index, buffer) { event in
        if case .failed(let fault) = event { gateway.diskRefused(fault) }
        fill.written(slice: index, event)
      })
  }

  /// Forgets a record whose length an upstream says is another: one of the two was wrong, and who asks
  /// next learns it anew.
  func doubtRecord() {
    worker.log.warning(
      "an upstream and the cache disagree on a length: the record is dropped",
      metadata: ["target": .string(targetText)])
    dropRecord(Fault(.malformed, .upstream))
  }

  /// Takes what is kept out of the index, and ends the fill.
  func dropRecord(_ fault: Fault) {
    let (key, gateway) = (fill.key, worker.gateway)
    let fill = fill
    gateway.doubtful.insert(key)
    fill.writeBegan()
    submit(
      .remove(key: key) { _ in
        gateway.doubtful.remove(key)
        fill.writeEnded()
      })
    // Who is here holds what is doubted; who comes begins anew.
    fill.stopKeeping()
    fill.fail(fault)
  }

  func submit(_ job: WriteJob) {
    if jobs.isEmpty, worker.gateway.storage.submit(job, isAnnounced: true) { return }
    jobs.append(job)
    if retry == nil { retry = JobRetry(self, worker.loop) }
  }

  /// Offers waiting jobs again; true when none is left.
  func submitWaiting() -> Bool {
    var taken = 0
    while taken < jobs.count, worker.gateway.storage.submit(jobs[taken], isAnnounced: true) {
      taken += 1
    }
    jobs.removeFirst(taken)
    guard jobs.isEmpty else { return false }
    jobsDone()
    return true
  }

  /// Goes on without the disk, whose writer has taken nothing for too long.
  func giveUpKeeping() {
    worker.counters.add(.notStored(.disk))
    fill.stopKeeping()
    dropJobs()
    jobsDone()
  }

  /// Forgets the jobs that the writer has not taken.
  func dropJobs() {
    let dropped = jobs
    jobs = []
    for job in dropped {
      if case .remove(_, let done) = job {
        // It tells the fill itself.
        done?(.failed(Fault(.cancelled, .own)))
      } else {
        fill.writeEnded()
      }
    }
  }

  func jobsDone() {
    retry = nil
    if fetches.isEmpty {
      fill.setFetching(false)
      leave()
    } else {
      roomMade()
    }
  }
}

/// Offers a driver's waiting jobs to the cache writer again, until it has taken them.
final class JobRetry: EventHandler {
  private let driver: FillDriver
  private let loop: Loop
  private var handle = Handle.none
  private let givesUp: Instant

  init(_ driver: FillDriver, _ loop: Loop) {
    self.driver = driver
    self.loop = loop
    givesUp = loop.now + GatewayOptions.writerPatience
    super.init()
    handle = loop.enrol(self)
    loop.setTimer(handle, tag: 0, at: loop.now + GatewayOptions.writerPause)
  }

  override func deadline(_ tag: UInt32) {
    if driver.submitWaiting() {
      loop.dismiss(handle)
    } else if loop.now >= givesUp {
      loop.dismiss(handle)
      driver.giveUpKeeping()
    } else {
      loop.setTimer(handle, tag: 0, at: loop.now + GatewayOptions.writerPause)
    }
  }
}
