import Base
import HTTP2
import TestKit
import Testing

/// Whatever a client sends: nothing traps, nothing grows without bound, and all memory comes back.
@Suite struct FuzzTests {
  private typealias Frame = HTTP2Frame

  private func session(_ bytes: [UInt8], _ random: inout SeededRandom) {
    let pair = SessionPair()
    pair.pauses = 3
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = Array(rest.prefix(random.number(in: 1...4000)))
      pair.session.receive(piece.rawBytes, at: pair.now)
      rest = rest.dropFirst(piece.count)
      let said = pair.gather()
      #expect(said.count < 4 << 20)
      pair.client.receive(said)
      pair.now = pair.now + .milliseconds(random.number(in: 0...3000))
    }
    #expect(pair.requests.filter { $0.closed == nil }.count <= 100)
    #expect(pair.memory.blocksInUse < 5000)
  }

  @Test func randomBytes() {
    for seed in 0..<300 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      let noise = (0..<random.number(in: 0...3000)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      session(seed % 2 == 0 ? noise : Frame.preface + Frame.settings + noise, &random)
    }
  }

  /// Frames of all kinds with lengths, flags and streams at random.
  @Test func randomFrames() {
    for seed in 0..<300 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      var bytes = Frame.preface + Frame.settings
      for _ in 0..<random.number(in: 1...60) {
        let type = UInt8(random.number(in: 0...17))
        let stream = UInt32(random.number(in: 0...20))
        let flags = UInt8.random(in: 0...255, using: &random)
        let payload: [UInt8]
        switch type {
        case 1 where random.chance(0.7): payload = Frame.get("/\(random.number(in: 0...100_000))")
        case 3, 8: payload = Frame.number(UInt32.random(in: 0...UInt32.max, using: &random))
        default:
          payload = (0..<random.number(in: 0...40)).map { _ in
            UInt8.random(in: 0...255, using: &random)
          }
        }
        bytes += Frame.make(type, flags: random.chance(0.5) ? 5 : flags, stream: stream, payload)
      }
      session(bytes, &random)
    }
  }

  /// What a good client says, with bytes changed, left out or repeated.
  @Test func changedFrames() {
    for seed in 0..<200 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      let client = HTTP2Client()
      for number in 0..<random.number(in: 1...20) {
        let isUpload = random.chance(0.3)
        client.ask(
          "/\(number * 1000)", method: isUpload ? "POST" : "GET",
          body: isUpload ? [UInt8](repeating: 1, count: random.number(in: 0...5000)) : nil)
      }
      var bytes = client.take()
      for _ in 0..<random.number(in: 1...10) {
        let place = random.number(in: 0...bytes.count - 1)
        switch random.number(in: 0...2) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: place)
        default: bytes.insert(contentsOf: bytes[place..<min(place + 30, bytes.count)], at: place)
        }
      }
      session(bytes, &random)
    }
  }
}
