import ArgumentParser
import Base
import Configuration
import Origin
import System
import TLS

/// `sluice demo`: the gateway in front of an embedded origin with a sample site, to try it out.
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the gateway in front of an embedded origin with a small sample site.")

  @Option(name: .shortAndLong, help: "The settings; the origin listens where the first server is.")
  var config = "gateway.conf"

  /// An eighth of it is taken from the disk at the start: enough for a sample site, and no more than a demo may take.
  private static let cacheSize = 1 << 30

  func run() throws {
    // Before anything uses OpenSSL.
    TLSMemory.keepBlocks()
    var settings = try SettingsLoader.load(config)
    settings.cache.maxSize = min(settings.cache.maxSize, Self.cacheSize)
    let signals = try Program.signals()
    guard let upstream = settings.regions.first?.servers.first else {
      throw Program.fail("regions: there is no server to stand in for")
    }
    guard !upstream.address.isSecure else {
      throw Program.fail("regions: the demo stands in for the first server, and speaks no TLS")
    }
    let site: SampleSite
    do throws(UnixFSBuilder.BuildError) {
      site = try SampleSite()
    } catch {
      throw Program.fail("the sample site cannot be made")
    }
    let origin = try Self.start(site, at: upstream.address.place)
    let service = try Service.start(settings)
    Program.say(Self.welcome(site, service, origin))
    service.runUntilStopped(signals)
    origin.stop()
  }

  private static func start(_ site: SampleSite, at place: HostPort) throws -> OriginServer {
    let address = try Service.socketAddress(place)
    let store: CARStore
    do throws(CARStoreError) {
      store = try CARStore(car: site.car, name: "the sample site")
    } catch {
      throw Program.fail("the sample site cannot be read: \(error.sentence)")
    }
    return try Program.origin { () throws(OriginServer.StartError) in
      try OriginServer(store, listen: address, workers: 1)
    }
  }

  private static func welcome(
    _ site: SampleSite, _ service: Service, _ origin: OriginServer
  ) -> String {
    let gateway = service.addresses.first?.description ?? ""
    return """

      Sluice listens on http://\(gateway), its metrics are at \
      http://\(service.adminAddress.description)/metrics,
      and behind it an embedded origin on http://\(origin.address.description) serves a sample site.
      Try:

        curl -i http://\(gateway)/ipfs/\(site.root)/hello.txt
        curl -i http://\(gateway)/ipfs/\(site.root)/hello.txt        # again: X-Cache-Status: HIT
        curl -s -D - -o /dev/null -r 0-99 http://\(gateway)/ipfs/\(site.root)/large.bin
        curl http://\(service.adminAddress.description)/metrics

      or look at http://\(gateway)/ipfs/\(site.root)/ in a browser. Ctrl-C ends all of it.

      """
  }
}
