import Base
import Foundation
import IPFS

/// Many objects of many sizes, without the memory that their bytes would take: each is a part of one
/// long noise.
public struct Catalogue: Sendable {
  public struct Item: Sendable {
    public var cid: CID
    public var path: String
    /// Where in the noise its bytes are.
    public var place: Range<Int>

    public var count: Int { place.count }
  }

  public let items: [Item]
  private let pool: [UInt8]
  private let byPath: [String: Int]

  /// Makes items until their bytes reach a sum, from small ones to large ones, as many of each
  /// doubling; every third one is a raw block (of up to 1 MiB), the others cannot be checked.
  public init(bytes: Int, sizes: ClosedRange<Int>, seed: UInt64) throws {
    let pool = noise(max(16 << 20, 2 * sizes.upperBound), seed: seed)
    var random = SeededRandom(seed: seed)
    var items: [Item] = []
    var paths: Set<String> = []
    var sum = 0
    while sum < bytes {
      let doublings = log2(Double(sizes.upperBound) / Double(sizes.lowerBound))
      let share = Double(random.number(in: 0...1 << 20)) / Double(1 << 20)
      var count = Int(Double(sizes.lowerBound) * exp2(share * doublings))
      let isRaw = items.count % 3 == 0
      if isRaw { count = min(count, 1 << 20) }
      let start = random.number(in: 0...pool.count - count)
      let body = Array(pool[start..<start + count])
      let content = try isRaw ? TestContent.raw(body) : .opaque(body)
      // Of so many some begin at the same place, which is all that names the opaque ones.
      guard paths.insert(content.path).inserted else { continue }
      items.append(Item(cid: content.cid, path: content.path, place: start..<start + count))
      sum += count
    }
    self.items = items
    self.pool = pool
    byPath = Dictionary(
      items.indices.map { (items[$0].path, $0) }, uniquingKeysWith: { first, _ in first })
  }

  public func content(_ index: Int) -> TestContent {
    TestContent(cid: items[index].cid, body: Array(pool[items[index].place]))
  }

  /// The content that a request names.
  public func content(of request: ScriptedUpstream.Request) -> TestContent? {
    byPath[request.target].map(content)
  }

  /// An upstream that has all of it.
  public func upstream() throws -> ScriptedUpstream {
    try ScriptedUpstream(remembers: false) { request, reply in
      guard let content = content(of: request) else {
        return try reply.answer(404, [], [])
      }
      try reply.serve(content)
    }
  }

  /// Whether bytes are those of an item, or of a part of it.
  public func isRight(_ bytes: [UInt8], _ index: Int, _ part: Range<Int>? = nil) -> Bool {
    let item = items[index]
    let part = part ?? 0..<item.count
    guard part.upperBound <= item.count else { return false }
    let start = item.place.lowerBound
    return isSame(bytes, pool, start + part.lowerBound..<start + part.upperBound)
  }
}
