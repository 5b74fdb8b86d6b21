import Base
import Foundation
import IPFS
import TestKit

/// What a request is for: the first dimension of the table, with content of its own for each case, so
/// that every case meets a cold cache.
enum ContentForm: String, CaseIterable, Sendable {
  case leaf = "raw CID"
  case tree = "multi-block CID"
  case file = "file"
  case nested = "nested file"
  case space = "name with space"
  case percent = "name with percent"
  case escape = "name that looks escaped"
  case unicode = "name in Unicode"
  case signs = "name with # and ?"
  case untyped = "multi-block file without extension"
  case text = "text without extension"
  case empty = "empty file"
  case index = "directory with index"
  case indexWithoutSlash = "directory with index, no slash"
  case nestedIndex = "nested directory with index"
  case listing = "listing"
  case listingWithoutSlash = "listing, no slash"
  case nestedListing = "nested listing"
  case shardedFile = "file of sharded directory"
  case shardedListing = "sharded listing"
  case shardedIndex = "sharded directory with index"
  case symlink = "symlink"
  case identity = "identity CID"
  case identityFile = "identity CID of a UnixFS file"
  case identityData = "identity CID of dag-json"
  case probe = "bafkqaaa"
  case cbor = "cbor"
  case json = "json"
  case dagCBOR = "dag-cbor"
  case dagJSON = "dag-json"
  case throughCBOR = "link in dag-cbor"
  case noLink = "absent link"
  case belowFile = "path below a file"
  case noBlock = "absent block"
  case invalid = "invalid CID"
  case name = "file under /ipns"
  case nameIndex = "site under /ipns"
  case nameListing = "listing under /ipns"
  case noName = "unknown name"
  case twice = "/ipfs/ipfs"
  case uri = "?uri="
  case unclean = "unclean path"
  case moved = "path that _redirects moves"
  case shown = "path that _redirects shows another file at"
  case missing = "path that _redirects has a page for"

  /// One of each kind that a gateway answers in a way of its own: what is crossed with the long
  /// dimensions.
  static let chief: [ContentForm] = [
    .leaf, .tree, .file, .untyped, .index, .indexWithoutSlash, .listing, .shardedFile, .symlink,
    .identity, .dagCBOR, .dagJSON, .name,
  ]
}

/// Where a case's content is.
struct Placement: Sendable {
  /// Nil where there is no content.
  var root: CID?
  /// What stands in the place of the root where it is no CID.
  var rootText: String?
  var namespace = "ipfs"
  /// What stands before the root.
  var prefix = "/ipfs/"
  /// Escaped; begins with a slash or is empty.
  var tail = ""
  /// Instead of the path: what carries the root in the query.
  var query: String?
  /// The name that leads to the root, where the case has one.
  var name: String?

  init(_ root: CID? = nil, _ tail: String = "") { (self.root, self.tail) = (root, tail) }
}

extension ContentForm {
  /// A long noise that bodies are cut from, each from another place.
  private static let pool = noise(110_000, seed: 400)

  /// More than one slice of 64 KiB, in four blocks.
  static func long(_ salt: Int) -> [UInt8] { Array(pool[salt..<salt + 100_000]) }

  private static func short(_ salt: Int) -> [UInt8] {
    Array(repeatElement("Line of text number \(salt).\n", count: 80).joined().utf8)
  }

  private static func page(_ salt: Int) -> [UInt8] {
    Array("<!DOCTYPE html>\n<title>\(salt)</title>\n<p>Page \(salt)\n".utf8)
  }

  /// Makes the content of one case.
  func place(in dag: inout TestDAG, salt: Int) throws -> Placement {
    switch self {
    case .leaf: return Placement(try dag.file(Self.short(salt)).cid)
    case .tree: return Placement(try dag.file(Self.long(salt)).cid)
    case .file: return try inFolder("hello.txt", Self.short(salt), &dag)
    case .nested: return try nested("data.json", Array("{\"salt\":\(salt)}".utf8), &dag)
    case .space: return try inFolder("a b.txt", Self.short(salt), &dag)
    case .percent: return try inFolder("100% sure.txt", Self.short(salt), &dag)
    case .escape: return try inFolder("a%20b%2Fc.txt", Self.short(salt), &dag)
    case .unicode: return try inFolder("Grüße Ж 😀.txt", Self.short(salt), &dag)
    case .signs: return try inFolder("no #1?.txt", Self.short(salt), &dag)
    case .untyped: return try inFolder("data", Self.long(salt), &dag)
    case .text: return try inFolder("README", Self.short(salt), &dag)
    case .empty:
      return Placement(
        try dag.directory(["empty.txt": dag.file([]), "\(salt)": dag.file([])]).cid, "/empty.txt")
    case .index: return Placement(try site(salt, &dag), "/")
    case .indexWithoutSlash: return Placement(try site(salt, &dag))
    case .nestedIndex:
      let site = TestDAG.Node(cid: try site(salt, &dag), totalSize: 1000)
      return Placement(try dag.directory(["docs": site]).cid, "/docs/")
    case .listing: return Placement(try plain(salt, &dag), "/")
    case .listingWithoutSlash: return Placement(try plain(salt, &dag))
    case .nestedListing:
      let plain = TestDAG.Node(cid: try plain(salt, &dag), totalSize: 1000)
      return Placement(try dag.directory(["docs": plain]).cid, "/docs/")
    case .shardedFile: return Placement(try sharded(salt, index: false, &dag), "/big.bin")
    case .shardedListing: return Placement(try sharded(salt, index: false, &dag), "/")
    case .shardedIndex: return Placement(try sharded(salt, index: true, &dag), "/")
    case .symlink:
      let link = try dag.symlink(to: "hello-\(salt).txt")
      return Placement(try dag.directory(["link": link]).cid, "/link")
    case .identity: return Placement(try .identity(Array("Identity \(salt)\n".utf8)))
    case .identityFile:
      var file = ByteBuffer(capacity: 64)
      UnixFSEncoder.appendFile(data: Array("<p>\(salt)".utf8).rawBytes, blockSizes: [], to: &file)
      var node = ByteBuffer(capacity: 64)
      PBEncoder.appendData(file.readable, to: &node)
      return Placement(try .identity(node.readable.array, .dagPB))
    case .identityData:
      return Placement(try .identity(Array("{\"n\":\(salt)}".utf8), .dagJSON))
    case .probe: return Placement(try .identity([]))
    case .cbor: return Placement(try dag.block(Self.cborMap(salt, nil), .cbor).cid)
    case .json: return Placement(try dag.block(Array("{\"n\":\(salt)}".utf8), .json).cid)
    case .dagCBOR, .throughCBOR:
      let leaf = try dag.file(Self.short(salt))
      let map = try dag.block(Self.cborMap(salt, leaf.cid), .dagCBOR)
      return Placement(map.cid, self == .throughCBOR ? "/link" : "")
    case .dagJSON:
      let leaf = try dag.file(Self.short(salt))
      let text = "{\"link\":{\"/\":\"\(leaf.cid)\"},\"n\":\(salt)}"
      return Placement(try dag.block(Array(text.utf8), .dagJSON).cid)
    case .noLink: return Placement(try plain(salt, &dag), "/absent.txt")
    case .belowFile:
      var place = try inFolder("hello.txt", Self.short(salt), &dag)
      place.tail += "/more"
      return place
    case .noBlock:
      var elsewhere = TestDAG()
      return Placement(try elsewhere.file(Self.short(salt) + [0]).cid)
    case .invalid:
      var place = Placement()
      place.rootText = "bafkreinonsense\(salt)"
      return place
    case .name: return named(try inFolder("hello.txt", Self.short(salt), &dag), salt)
    case .nameIndex: return named(Placement(try site(salt, &dag), "/"), salt)
    case .nameListing: return named(Placement(try plain(salt, &dag), "/"), salt)
    case .noName:
      var place = Placement(nil, "/hello.txt")
      (place.namespace, place.prefix) = ("ipns", "/ipns/")
      place.rootText = "nobody\(salt).example"
      return place
    case .twice:
      var place = try inFolder("hello.txt", Self.short(salt), &dag)
      place.prefix = "/ipfs/ipfs/"
      return place
    case .uri:
      var place = try inFolder("hello.txt", Self.short(salt), &dag)
      place.query = "uri=ipfs%3A%2F%2F"
      return place
    case .moved: return Placement(try ruled(salt, &dag), "/old/place")
    case .shown: return Placement(try ruled(salt, &dag), "/shown")
    case .missing: return Placement(try ruled(salt, &dag), "/no/such/page")
    case .unclean:
      var place = try inFolder("hello.txt", Self.short(salt), &dag)
      place.tail = "/x/../.\(place.tail)"
      return place
    }
  }

  private func named(_ place: Placement, _ salt: Int) -> Placement {
    var place = place
    (place.namespace, place.prefix) = ("ipns", "/ipns/")
    let name = "s\(salt).example"
    (place.rootText, place.name) = (name, name)
    return place
  }

  private func inFolder(
    _ name: String, _ body: [UInt8], _ dag: inout TestDAG
  ) throws -> Placement {
    Placement(try dag.directory([name: dag.file(body)]).cid, "/" + escaped(name))
  }

  private func nested(
    _ name: String, _ body: [UInt8], _ dag: inout TestDAG
  ) throws -> Placement {
    let inner = try dag.directory([name: dag.file(body)])
    let middle = try dag.directory(["b": inner])
    return Placement(try dag.directory(["a": middle]).cid, "/a/b/" + escaped(name))
  }

  private func site(_ salt: Int, _ dag: inout TestDAG) throws -> CID {
    try dag.directory([
      "index.html": dag.file(Self.page(salt)), "other.txt": dag.file(Self.short(salt)),
    ]).cid
  }

  /// A site with rules, which count only where it has an origin of its own.
  private func ruled(_ salt: Int, _ dag: inout TestDAG) throws -> CID {
    let rules = "/old/* /new/:splat 302\n/shown /hello.txt 200\n/* /404.html 404\n"
    return try dag.directory([
      "_redirects": dag.file(Array(rules.utf8)), "hello.txt": dag.file(Self.short(salt)),
      "404.html": dag.file(Self.page(salt)),
    ]).cid
  }

  private func plain(_ salt: Int, _ dag: inout TestDAG) throws -> CID {
    let page = try dag.file(Self.page(salt))
    return try dag.directory(["one.txt": page, "two & <three>.bin": page]).cid
  }

  private func sharded(_ salt: Int, index: Bool, _ dag: inout TestDAG) throws -> CID {
    let leaf = try dag.file(Self.page(salt))
    var entries = ["big.bin": try dag.file(Self.long(salt))]
    for number in 0..<40 { entries["name \(number)"] = leaf }
    if index { entries["index.html"] = leaf }
    return try dag.shardedDirectory(entries).cid
  }

  /// `{"n": salt}`, or with a link too.
  private static func cborMap(_ salt: Int, _ link: CID?) -> [UInt8] {
    // Numbers have their shortest form in dag-cbor; from 256 on that is two bytes.
    let value = salt + 256
    let number: [UInt8] = [0x61, 0x6E, 0x19, UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    guard let link else { return [0xA1] + number }
    var binary = ByteBuffer(capacity: 64)
    link.appendBinary(to: &binary)
    let bytes = binary.readable.array
    let count = UInt8(bytes.count + 1)
    return [0xA2] + number + [0x64] + Array("link".utf8) + [0xD8, 0x2A, 0x58, count, 0] + bytes
  }
}

/// A name as one segment of a path.
func escaped(_ name: String) -> String {
  let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~".utf8)
  return name.utf8.map {
    plain.contains($0)
      ? String(UnicodeScalar($0)) : "%" + String(format: "%02X", Int($0))
  }.joined()
}
