import Base
import EventLoop
import System
import TestKit
import Testing

@testable import Server

/// Bodies that are ranges of files.
@Suite struct FileBodyTests {
  /// The file that ends too early is seen at once, with the head still to be sent and without.
  @Test func aFileThatEndsTooEarlyIsNoSlowClient() throws {
    let folder = try TemporaryFolder()
    try folder.write(pattern(50_000), to: "file")
    let file = try File(path: folder.file("file"), .read)
    for start in [50_000, 49_000] as [Int64] {
      let world = try ServerWorld(seed: 3)
      let visitor = try world.visit(ServerWorld.get("/hold"))
      world.run { !world.handler.held.isEmpty }
      let stream = world.handler.held[0]
      stream.begin(status: 200)
      stream.endHead(.known(2_000))
      var offers: [Offer] = []
      var offset = start
      while offers.last != .sourceEnded, offers.count < 10 {
        let offer = stream.offer(
          file: file.reference.descriptor, offset: offset, count: Int(stream.bodyDue))
        offers.append(offer)
        if case .taken(let count) = offer { offset += Int64(count) }
        world.run(for: .milliseconds(10))
      }
      #expect(offers.last == .sourceEnded && offset == 50_000)
      // What comes from elsewhere in its place goes on behind.
      let rest = pattern(Int(stream.bodyDue))
      for _ in 0..<100 where stream.bodyDue > 0 {
        _ = stream.offer(Array(rest.suffix(Int(stream.bodyDue))).rawBytes)
        world.run(for: .milliseconds(10))
      }
      stream.finish()
      world.run(for: .milliseconds(10))
      let received = Received.all(visitor.received)
      #expect(received.map(\.isComplete) == [true])
      #expect(received.first?.body == pattern(50_000)[Int(start)...] + rest)
    }
  }
}
