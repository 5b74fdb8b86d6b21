import Base
import EventLoop
import Foundation
import System
import Testing

@Suite struct SimulatedNetworkTests {
  @Test(arguments: 0..<20 as Range<UInt64>)
  func bytesArriveWholeAndInOrder(seed: UInt64) throws {
    let pair = try Pair(seed: seed)
    let up = pattern(200_000)
    let down = Array(pattern(130_001).reversed())
    pair.near.toSend = up[...]
    pair.near.halfCloses = true
    pair.door.prepare = {
      $0.toSend = down[...]
      $0.halfCloses = true
    }
    try pair.connect()
    #expect(pair.settle())
    #expect(pair.far?.received == up)
    #expect(pair.near.received == down)
    #expect(pair.near.sawEnd && pair.far?.sawEnd == true)
    #expect(pair.near.failure == nil && pair.far?.failure == nil)
    // Some transfers were cut short, else nothing is tried here.
    #expect(pair.near.history.contains { -9_999..<0 ~= $0 })
    pair.near.close()
    pair.far?.close()
    #expect(pair.settle())
    #expect(pair.network.openEnds == 0)
  }

  @Test func theSameSeedHasTheSameHistory() throws {
    func history(_ seed: UInt64) throws -> ([Int], [Int], Instant) {
      let pair = try Pair(seed: seed)
      pair.near.toSend = pattern(100_000)[...]
      pair.door.prepare = { $0.toSend = pattern(50_000)[...] }
      try pair.connect()
      #expect(pair.settle())
      return (pair.near.history, pair.far?.history ?? [], pair.network.now)
    }
    let (one, same, other) = (try history(7), try history(7), try history(8))
    #expect(one == same)
    #expect(one != other)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func aReaderThatDoesNotReadStopsTheWriter(seed: UInt64) throws {
    var weather = SimulatedNetwork.Weather()
    weather.window = 10_000
    let pair = try Pair(seed: seed, weather: weather)
    let text = pattern(50_000)
    pair.near.toSend = text[...]
    pair.door.prepare = { $0.reads = false }
    try pair.connect()
    #expect(pair.settle())
    #expect(pair.near.toSend.count == 40_000)
    let far = try #require(pair.far)
    far.reads = true
    far.read()
    #expect(pair.settle())
    #expect(pair.near.toSend.isEmpty)
    #expect(far.received == text)
  }

  @Test func anEndComesBehindTheBytesAndLeavesTheOtherWayOpen() throws {
    let pair = try Pair(seed: 3)
    pair.near.toSend = pattern(5_000)[...]
    pair.near.halfCloses = true
    try pair.connect()
    #expect(pair.settle())
    let far = try #require(pair.far)
    #expect(far.sawEnd && far.received.count == 5_000)
    #expect(!pair.near.sawEnd)
    far.toSend = pattern(3_000)[...]
    far.closesWhenSent = true
    far.write()
    #expect(pair.settle())
    #expect(pair.near.received == pattern(3_000))
    #expect(pair.near.sawEnd)
  }

  @Test func closingOverUnreadBytesIsAReset() throws {
    let pair = try Pair(seed: 4)
    pair.near.toSend = pattern(5_000)[...]
    pair.door.prepare = { $0.reads = false }
    try pair.connect()
    #expect(pair.settle())
    try #require(pair.far).close()
    #expect(pair.settle())
    #expect(pair.near.failure == SystemError.connectionReset)
  }

  @Test func abortIsSeenAsAResetAndNotAsAnEnd() throws {
    let pair = try Pair(seed: 5)
    try pair.connect()
    #expect(pair.settle())
    let far = try #require(pair.far)
    far.loop.abort(far.socket)
    far.close()
    #expect(pair.settle())
    #expect(pair.near.failure == SystemError.connectionReset)
    #expect(!pair.near.sawEnd)
  }

  @Test func breakingIsSeenAtBothEnds() throws {
    let pair = try Pair(seed: 6)
    try pair.connect()
    #expect(pair.settle())
    pair.network.breakConnection(pair.near.socket)
    #expect(pair.settle())
    #expect(pair.near.failure == SystemError.connectionReset)
    #expect(pair.far?.failure == SystemError.connectionReset)
  }

  @Test func nobodyListensElsewhere() throws {
    let pair = try Pair(seed: 7)
    try pair.connect(to: SocketAddress(simulated: 2, port: 80))
    #expect(pair.settle())
    #expect(pair.near.failure == 111)
    #expect(pair.door.ends.isEmpty)
    pair.near.close()
    #expect(pair.network.openEnds == 0)
  }

  @Test func aListenerThatClosesResetsThoseThatWait() throws {
    let pair = try Pair(seed: 8)
    pair.door.loop.close(pair.door.socket, pair.door.handle)
    try pair.connect()
    #expect(pair.settle())
    #expect(pair.near.failure == 111)
  }

  /// A file's bytes go the way of others, in pieces where the network has less room.
  @Test(arguments: 0..<5 as Range<UInt64>) func filesAreSent(seed: UInt64) throws {
    let path = FileManager.default.temporaryDirectory.path + "/sluice-test-" + UUID().uuidString
    let file = try File(path: path, .createNew)
    try Folder.remove(file: path)
    let bytes = pattern(150_000)
    try file.write(at: 0, bytes.rawBytes)
    let pair = try Pair(seed: seed)
    try pair.connect()
    #expect(pair.settle())
    #expect(
      pair.near.loop.sendFile(pair.near.socket, from: file.descriptor, offset: 150_000, count: 1)
        == .end)
    #expect(pair.near.loop.sendFile(pair.near.socket, from: -1, offset: 0, count: 1) == .broken(9))
    var sent = 7
    var turns = 0
    while sent < bytes.count, turns < 1_000_000 {
      turns += 1
      switch pair.near.loop.sendFile(
        pair.near.socket, from: file.descriptor, offset: Int64(sent), count: bytes.count - sent)
      {
      case .bytes(let count): sent += count
      default: _ = pair.network.step()
      }
    }
    #expect(pair.settle())
    #expect(pair.far?.received == Array(bytes[7...]))
  }

  @Test func aLoopThatIsCutOffReachesNobody() throws {
    let pair = try Pair(seed: 10)
    try pair.connect()
    #expect(pair.settle())
    pair.network.cutOff(pair.door.loop)
    try pair.connect()
    #expect(pair.settle())
    #expect(pair.near.failure == 111)
    #expect(pair.far?.failure == SystemError.connectionReset)
    // A new listener at its place is found; what was cut off is not, and finds nobody.
    let other = try Door(Loop(in: pair.network), at: address)
    let lost = End(pair.door.loop)
    (lost.socket, lost.handle) = try lost.loop.connect(to: address, lost)
    let found = End(pair.near.loop)
    (found.socket, found.handle) = try found.loop.connect(to: address, found)
    #expect(pair.settle())
    #expect(lost.failure == 111 && found.failure == nil)
    #expect(other.ends.count == 1)
  }

  @Test func laterThingsHappenInTheirOrder() {
    let network = SimulatedNetwork(seed: 9)
    var ran: [Int] = []
    for (number, wait) in [30, 10, 20, 10].enumerated() {
      network.after(.milliseconds(wait)) { ran.append(number) }
    }
    while network.step() {}
    #expect(ran == [1, 3, 2, 0])
  }
}
