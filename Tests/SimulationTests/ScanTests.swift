import Base
import EventLoop
import Logging
import Telemetry
import Testing
import Upstreams

@testable import Cache
@testable import Gateway

/// What reads the index through has a thread of its own: no read of content waits for it.
@Suite struct ScanTests {
  @Test(arguments: [true, false]) func removalsTakeNoThreadThatReads(isStuck: Bool) throws {
    let network = SimulatedNetwork(seed: 3)
    let folder = try DiskFolder()
    defer { folder.remove() }
    let storage = try DiskStorage(
      CacheOptions(path: folder.path + "/1", maxSize: 256 << 20), wallSeconds: network.wallSeconds)
    // One without threads is one whose scan has no end.
    let scans = isStuck ? try DiskQueue(threads: 0, name: "scan") : DiskQueue(in: network)
    let gateway = Gateway(
      options: GatewayOptions(), storage: storage,
      upstreams: UpstreamMap(regions: [UpstreamRegion(name: "here", servers: [])]),
      disk: DiskQueue(in: network), scans: scans,
      log: Logger(label: "scans") { _ in SwiftLogNoOpLogHandler() })
    let worker = try GatewayWorker(
      gateway, number: 0, loop: Loop(in: network), counters: CounterPage(), accessLog: nil)
    let (removed, read) = (Tally(), Tally())
    for _ in 0..<4 { gateway.remove(.all { _ in true }) { _ in removed.add() } }
    let end = network.now + .seconds(60)
    func run() {
      while network.now < end, network.step() {
        while storage.step(now: network.now, wallSeconds: network.wallSeconds) {}
      }
    }
    run()
    #expect(gateway.disk.submit { read.add() })
    run()
    #expect(removed.count == (isStuck ? 0 : 4) && read.count == 1)
    worker.close()
  }

  private final class Tally: @unchecked Sendable {
    // Unchecked: all in one thread here.
    private(set) var count = 0
    func add() { count += 1 }
  }
}
