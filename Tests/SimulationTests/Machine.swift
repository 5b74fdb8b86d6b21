import Base
import EventLoop
import Foundation
import Logging
import Server
import System
import Telemetry
import Upstreams

@testable import Cache
@testable import Gateway

/// A folder for one seed's disk, in memory where there is room; `remove` ends it.
final class DiskFolder: Sendable {
  let path: String

  private static let prefix = "sluice-simulation-"
  private static let parent: String = {
    let memory = "/dev/shm"
    let room = (try? Folder.space(at: memory).free) ?? 0
    let parent = room > 2 << 30 ? memory : FileManager.default.temporaryDirectory.path
    sweep(parent)
    return parent
  }()

  init() throws(Fault) {
    path = "\(Self.parent)/\(Self.prefix)\(getpid())-\(UUID().uuidString)"
    try Folder.create(path)
  }

  deinit { remove() }

  /// Takes it off the disk; also where a failed seed has left something that holds it.
  func remove() { try? FileManager.default.removeItem(atPath: path) }

  /// Removes what processes have left that were killed: it would fill the machine's memory.
  private static func sweep(_ parent: String) {
    for name in (try? Folder.names(in: parent)) ?? [] where name.hasPrefix(prefix) {
      let owner = name.dropFirst(prefix.count).prefix { $0 != "-" }
      guard let process = pid_t(owner), kill(process, 0) != 0, errno == ESRCH else { continue }
      try? FileManager.default.removeItem(atPath: parent + "/" + name)
    }
  }
}

/// One life of the gateway's process: its storage, its workers and their loops.
final class Machine {
  let disk: TroubledDisk
  let storage: DiskStorage
  let gateway: Gateway
  private(set) var workers: [GatewayWorker] = []
  private(set) var servers: [ServerWorker] = []

  /// What all lives of a seed have in common.
  struct Plan {
    var cache: CacheOptions
    var gateway: GatewayOptions
    var nodes: [SocketAddress]
  }

  init(_ plan: Plan, _ disk: TroubledDisk, secret: SipKey, in network: SimulatedNetwork) throws {
    self.disk = disk
    storage = try DiskStorage(
      plan.cache, wallSeconds: network.wallSeconds, secret: secret, faults: disk)
    disk.isTroubled = true
    let region = UpstreamRegion(
      name: "here",
      servers: plan.nodes.enumerated().map {
        UpstreamServer(address: $0.element, name: "node\($0.offset)")
      })
    gateway = Gateway(
      options: plan.gateway, storage: storage, upstreams: UpstreamMap(region),
      disk: DiskQueue(in: network),
      log: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() })
    var options = ServerOptions()
    options.sendTimeout = .seconds(10)
    for number in 0..<2 {
      let loop = Loop(in: network)
      let counters = CounterPage()
      let worker = try GatewayWorker(
        gateway, number: number, loop: loop, counters: counters, accessLog: nil)
      let server = ServerWorker(loop: loop, options: options, handler: worker, counters: counters)
      workers.append(worker)
      servers.append(server)
    }
    ServerCrew(servers)
    for server in servers { try server.listen(on: World.address) }
  }

  /// Whether anything is still on its way into the cache.
  var isQuiet: Bool {
    gateway.fills.count == 0 && workers.allSatisfy { $0.counters.value(.fillsActive) == 0 }
  }

  /// Ends it as kill -9 does, and leaves what its disk then holds in another folder.
  ///
  /// What is left of it in this process winds up without reaching network or disk: it is seen by
  /// nobody, and is freed as an orderly end would free it.
  func die(in network: SimulatedNetwork, leaving folder: String) throws {
    disk.die()
    for worker in workers { network.cutOff(worker.loop) }
    try copyDisk(to: folder)
    // Its jobs fail, every one, since nothing reaches the disk.
    storage.stop()
    for server in servers {
      server.drain {}
      server.closeAll()
    }
  }

  /// Segments are shared with the dead, which writes no more; the index is copied.
  private func copyDisk(to folder: String) throws {
    let from = storage.options.path
    try Folder.create(folder + "/segments")
    try Folder.create(folder + "/index")
    for name in try Folder.names(in: from + "/segments") {
      try FileManager.default.linkItem(
        atPath: "\(from)/segments/\(name)", toPath: "\(folder)/segments/\(name)")
    }
    try FileManager.default.copyItem(
      atPath: from + "/index/data.mdb", toPath: folder + "/index/data.mdb")
  }

  /// Takes back what was written and not synced, at random, as a power cut does.
  func losePower(_ folder: String, _ random: inout SeededRandom) throws {
    for (segment, writes) in disk.unsynced.sorted(by: { $0.key < $1.key }) {
      let path = folder + "/segments/" + SegmentTable.name(segment)
      guard Folder.exists(path) else { continue }
      let file = try File(path: path, .readWrite)
      for write in writes where random.chance(0.7) {
        let start =
          random.chance(0.5)
          ? write.lowerBound : random.number(in: write.lowerBound...write.upperBound - 1)
        try file.write(at: start, [UInt8](repeating: 0, count: write.upperBound - start).rawBytes)
      }
    }
  }

  /// Does what the writer still has to do, without trouble; false where that never ends.
  func settleDisk(_ network: SimulatedNetwork) -> Bool {
    disk.isTroubled = false
    for seconds in [10, 20, 30] {
      let later = network.now + .seconds(seconds)
      var steps = 0
      while storage.step(now: later, wallSeconds: network.wallSeconds) {
        steps += 1
        if steps == 10_000 { return false }
      }
    }
    return true
  }

  func close() {
    for server in servers { server.drain {} }
    for worker in workers { worker.close() }
  }
}
