import Base
import Foundation
import FoundationNetworking
import System
import Testing

@testable import Origin

struct OriginServerTests {
  @Test(.timeLimit(.minutes(10))) func servesOverLoopback() async throws {
    let site = try SampleSite()
    let any = try #require(SocketAddress(host: "127.0.0.1", port: 0))
    let server = try OriginServer(try CARStore(car: site.car), listen: any, workers: 2)
    try server.start()
    defer { server.stop() }
    let base = "http://\(server.address.description)/ipfs/\(site.root)"
    let session = URLSession(configuration: .ephemeral)
    for _ in 0..<4 {
      let url = try #require(URL(string: "\(base)/large.bin"))
      let (data, response) = try await session.data(from: url)
      #expect((response as? HTTPURLResponse)?.statusCode == 200)
      #expect(data.count == 5 << 20)
    }
  }

  @Test func stopsWithoutHavingStarted() throws {
    let any = try #require(SocketAddress(host: "127.0.0.1", port: 0))
    let server = try OriginServer(
      try CARStore(car: SampleSite().car), listen: any, workers: 1)
    server.stop()
  }

  @Test func filesThatCannotBeReadAreTold() throws {
    let any = try #require(SocketAddress(host: "127.0.0.1", port: 0))
    let error = try #require(throws: OriginServer.StartError.self) {
      try OriginServer(cars: ["/nonexistent/a.car"], listen: any, workers: 1)
    }
    #expect(error.sentence.hasPrefix("/nonexistent/a.car: "))
  }
}
