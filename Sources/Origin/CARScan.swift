internal import Base
internal import IPFS
internal import System

/// Where a block's bytes lie.
struct BlockLocation: Sendable {
  /// The number of the file among those that were opened.
  var file: UInt32
  var count: UInt32
  var offset: UInt64
}

/// Reads CAR files through once and gathers where their blocks are.
struct CARScan {
  /// What one read asks of a file.
  private static let readBytes = 1024 * 1024

  let hashKey: SipKey
  private(set) var roots: [CID] = []
  private(set) var locations: [BlockLocation] = []
  private(set) var places: [Digest128: UInt32] = [:]
  private var knownRoots: Set<CID> = []
  private var buffer = [UInt8](repeating: 0, count: Self.readBytes)

  init(hashKey: SipKey) {
    self.hashKey = hashKey
  }

  /// Adds a file's blocks; those that are known already stay where they were found first.
  mutating func add(_ source: CARSource, number: UInt32) throws(CARStoreError) {
    var reader = CARReader(capacity: 4 * Self.readBytes, acceptsVersion2: true)
    var offset = 0
    // Where the section begins that is being read.
    var section: UInt64 = 0
    while true {
      let count = try fill(from: source, at: offset)
      offset += count
      reader.feed(buffer.rawBytes.extracting(0..<count))
      do throws(CARError) {
        try take(&reader, number, &section)
        if count == 0 {
          try reader.checkEnd()
          return
        }
      } catch {
        throw .damaged(path: source.name, offset: section, error)
      }
    }
  }

  private mutating func fill(
    from source: CARSource, at offset: Int
  ) throws(CARStoreError) -> Int {
    var outcome: Result<Int, Fault> = .success(0)
    unsafe buffer.withUnsafeMutableBytes { room in
      do throws(Fault) {
        outcome = .success(try unsafe source.read(at: offset, into: room))
      } catch {
        outcome = .failure(error)
      }
    }
    switch outcome {
    case .success(let count): return count
    case .failure(let fault): throw .cannotRead(path: source.name, fault)
    }
  }

  private mutating func take(
    _ reader: inout CARReader, _ number: UInt32, _ section: inout UInt64
  ) throws(CARError) {
    while true {
      switch try reader.next() {
      case .needMore: return
      case .header(let roots):
        for root in roots where knownRoots.insert(root).inserted { self.roots.append(root) }
      case .block(let block):
        section = block.payloadOffset + UInt64(block.payloadCount)
        add(block, number)
      }
    }
  }

  private mutating func add(_ block: CARBlock, _ number: UInt32) {
    // An identity CID is its own block.
    guard block.cid.hash != .identity else { return }
    let key = CARStore.key(block.cid, hashKey)
    guard places[key] == nil else { return }
    places[key] = UInt32(locations.count)
    locations.append(
      BlockLocation(
        file: number, count: UInt32(block.payloadCount), offset: block.payloadOffset))
  }
}
