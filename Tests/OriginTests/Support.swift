import Base
import HTTP
import IPFS

@testable import Origin

/// A small tree in memory, and the rules over it.
struct Site {
  let rules: OriginRules
  let store: CARStore
  let root: UnixFSBuilder.Node
  let hello: UnixFSBuilder.Node
  let long: UnixFSBuilder.Node
  let plain: UnixFSBuilder.Node
  let indexed: UnixFSBuilder.Node
  let longBytes: [UInt8]
  let builder: UnixFSBuilder

  /// `/hello.txt`, `/long.bin` of many small chunks, `/noext`, `/page`, `/a b/x`, `/site/index.html`.
  init() throws {
    var random = SeededRandom(seed: 1)
    var builder = UnixFSBuilder(chunkBytes: 100, width: 4)
    longBytes = (0..<3_333).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    hello = try builder.addFile(Array("hello world\n".utf8))
    long = try builder.addFile(longBytes)
    let page = try builder.addFile(Array("<!DOCTYPE html><p>hi".utf8))
    indexed = try builder.addDirectory(["index.html": page, "other": hello])
    plain = try builder.addDirectory(["x": hello])
    root = try builder.addDirectory([
      "hello.txt": hello, "long.bin": long, "noext": hello, "page": page, "a b": plain,
      "site": indexed, "empty": builder.addFile([]),
    ])
    self.builder = builder
    store = try CARStore(car: builder.car(roots: [root.cid]))
    rules = OriginRules(store)
  }

  func get(
    _ target: String, _ fields: [FieldToken: String] = [:], method: HTTP.Method = .get
  ) -> OriginAnswer {
    rules.answer(request(method, target, fields))
  }

  /// The same tree, with names and hosts.
  func rules(_ change: (inout OriginOptions) -> Void) -> OriginRules {
    var options = OriginOptions()
    change(&options)
    return OriginRules(store, options)
  }
}

/// Sunday, 22 November 2026, in seconds since 1970.
let testTime: Int64 = 1_795_305_600

extension OriginRules {
  func answer(_ request: OriginRequest) -> OriginAnswer { answer(request, now: testTime) }

  func get(
    _ target: String, host: String = "127.0.0.1", _ fields: [FieldToken: String] = [:]
  ) -> OriginAnswer {
    answer(request(.get, target, fields.merging([.host: host]) { $1 }))
  }
}

func request(
  _ method: HTTP.Method, _ target: String, _ fields: [FieldToken: String] = [:]
) -> OriginRequest {
  var request = OriginRequest(method, target: target)
  for (token, value) in fields { request.set(token, Array(value.utf8).rawBytes) }
  return request
}

/// All bytes of an answer's body; what a responder would send.
func bytes(of answer: OriginAnswer) throws -> [UInt8] {
  switch answer.body {
  case .absent: return []
  case .bytes(let bytes): return bytes
  case .file(let slice): return try bytes(of: slice)
  case .car(let walk): return try bytes(of: walk)
  case .tar(let walk): return bytes(of: walk)
  }
}

private func bytes(of slice: FileSlice) throws -> [UInt8] {
  var slice = slice
  var all: [UInt8] = []
  while let next = try slice.next() { all += next.block[next.bytes] }
  return all
}

private func bytes(of walk: CARWalk) throws -> [UInt8] {
  var walk = walk
  var output = ByteBuffer(capacity: 1024)
  var goesOn = true
  while goesOn { goesOn = try walk.next(into: &output) }
  return output.readable.array
}

private func bytes(of walk: TarWalk) -> [UInt8] {
  var walk = walk
  var output = ByteBuffer(capacity: 1024)
  while walk.next(into: &output) {}
  return output.readable.array
}

/// The roots and the blocks' CIDs of a CAR; blocks that are not right are left out.
struct CARContents {
  var roots: [CID] = []
  var blocks: [CID] = []

  init(_ car: [UInt8]) throws {
    var reader = CARReader()
    reader.feed(car.rawBytes)
    while try take(&reader) {}
    try reader.checkEnd()
  }

  private mutating func take(_ reader: inout CARReader) throws -> Bool {
    switch try reader.next() {
    case .needMore: return false
    case .header(let found): roots = found
    case .block(let block):
      if block.cid.verify(reader.payload) == .match { blocks.append(block.cid) }
    }
    return true
  }
}

extension OriginAnswer {
  func bytes() throws -> [UInt8] { try OriginTests.bytes(of: self) }
  func text() throws -> String { String(decoding: try bytes(), as: UTF8.self) }
  func car() throws -> CARContents { try CARContents(try bytes()) }
}
