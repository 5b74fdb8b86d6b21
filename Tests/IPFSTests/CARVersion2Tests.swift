import Base
import IPFS
import Testing

@Suite struct CARVersion2Tests {
  private static func sample() -> [UInt8] {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 44)
    let root = builder.file(random.bytes(200), chunk: 50)
    return builder.car(roots: [root])
  }

  /// A CARv2 around a CARv1, with so many bytes before and after it.
  private static func wrap(
    _ inner: [UInt8], before: Int = 0, after: Int = 0, offset: Int? = nil, size: Int? = nil
  ) -> [UInt8] {
    func number(_ value: Int) -> [UInt8] {
      (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let header =
      [UInt8](repeating: 0xff, count: 16) + number(offset ?? 51 + before)
      + number(size ?? inner.count) + number(51 + before + inner.count)
    let pragma = [UInt8](hex: "0aa16776657273696f6e02")
    let padding = [UInt8](repeating: 0x99, count: before)
    return pragma + header + padding + inner + [UInt8](repeating: 0x77, count: after)
  }

  private static func read(
    _ file: [UInt8], cuts: [Int] = []
  ) throws(CARError) -> CARTests.Contents {
    var reader = CARReader(capacity: 64, acceptsVersion2: true)
    return try CARTests.read(&reader, file, cuts: cuts)
  }

  @Test func readsTheFileInside() throws {
    let inner = Self.sample()
    let plain = try CARTests.read(inner)
    #expect(try Self.read(inner) == plain)
    for (before, after) in [(0, 0), (0, 100), (13, 0), (300, 7)] {
      let file = Self.wrap(inner, before: before, after: after)
      for cuts in [[], Array(0...file.count), [11], [51, 60], [file.count - after]] {
        let contents = try Self.read(file, cuts: cuts)
        #expect(contents.roots == plain.roots)
        #expect(contents.payloads == plain.payloads)
        for (block, payload) in zip(contents.blocks, contents.payloads) {
          let start = Int(block.payloadOffset)
          #expect(Array(file[start..<start + block.payloadCount]) == payload)
        }
      }
      #expect(throws: CARError.version2) { try CARTests.read(file) }
    }
  }

  @Test func everyCutBeforeTheDataEndsIsNoticed() throws {
    let file = Self.wrap(Self.sample(), before: 5, after: 20)
    for cut in 0..<file.count - 20 {
      #expect(throws: CARError.truncated) { try Self.read(Array(file[..<cut])) }
    }
    for cut in file.count - 20...file.count { _ = try Self.read(Array(file[..<cut])) }
  }

  @Test func refusesFramesThatLie() throws {
    let inner = Self.sample()
    for (offset, size) in [(50, inner.count), (0, 9), (51, 0), (51, -1), (-1, 5), (Int.max, 1)] {
      #expect(throws: CARError.malformedHeader) {
        try Self.read(Self.wrap(inner, offset: offset, size: size))
      }
    }
    // The data ends inside a section, or goes on beyond the file.
    #expect(throws: CARError.truncated) { try Self.read(Self.wrap(inner, size: inner.count - 1)) }
    #expect(throws: CARError.truncated) { try Self.read(Self.wrap(inner, size: 5)) }
    #expect(throws: CARError.truncated) { try Self.read(Self.wrap(inner, size: inner.count + 1)) }
    // A frame in a frame.
    #expect(throws: CARError.version2) { try Self.read(Self.wrap(Self.wrap(inner))) }
  }

  @Test func mutationsNeverTrap() throws {
    let file = Self.wrap(Self.sample(), before: 3, after: 9)
    var random = SeededRandom(seed: 45)
    for _ in 0..<3000 {
      let part = random.mutated(Array(file[..<90]))
      _ = try? Self.read(part + file[90...], cuts: [random.number(in: 0...part.count)])
    }
  }
}
