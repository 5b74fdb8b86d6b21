import Base
import IPFS
import Testing

@testable import Cache
@testable import Gateway
@testable import Router

/// What a batch of subjects has, and of which of them it is.
@Suite struct RemovalSubjectTests {
  private static func cid(_ seed: UInt8, _ codec: ContentCodec = .dagPB) throws -> CID {
    let bytes = [UInt8](repeating: seed, count: 9)
    let cid = CID(sha256Of: bytes.rawBytes, codec: codec)
    return try #require(cid)
  }

  private static func key(
    _ root: CID, _ path: String = "", form: ContentForm = .file, mode: OriginMode = .path,
    suffix: [UInt8] = []
  ) -> [UInt8] {
    [0x61 + form.rawValue + mode.rawValue << 4] + CanonicalKey.place(of: root)
      + Array(path.utf8) + suffix
  }

  private static func part(_ batch: RemovalBatch, _ key: [UInt8], etag: String = "") -> Int? {
    batch.subject.part(ofKey: key.rawBytes, etag: Array(etag.utf8).rawBytes)
  }

  @Test func keysHaveTheirParts() throws {
    let root = try Self.cid(1)
    for form in ContentForm.allCases {
      for mode in [OriginMode.path, .subdomain, .dnslink] {
        for suffix in [[], [0], [0, 1, 0x21]] as [[UInt8]] {
          let key = Self.key(root, "/a/b", form: form, mode: mode, suffix: suffix)
          let read = CanonicalKey.Parts(key.rawBytes)
          let parts = try #require(read)
          #expect(parts.form == form && parts.mode == mode && parts.root == root.version1)
          #expect(Array(key[parts.path.range]) == Array("/a/b".utf8))
          #expect(parts.multihash.count == 34)
        }
      }
    }
  }

  @Test func noKeyTraps() throws {
    var random = SeededRandom(seed: 71)
    let good = Self.key(try Self.cid(1), "/a/b", form: .car, suffix: [0, 1, 2])
    var batch = RemovalBatch()
    _ = batch.add(try Self.cid(1))
    _ = batch.add(Array("/a".utf8), below: try Self.cid(2))
    for _ in 0..<5_000 {
      var key = good
      for _ in 0..<random.number(in: 1...4) where !key.isEmpty {
        let place = random.number(in: 0...min(key.count - 1, 8))
        switch random.number(in: 0...2) {
        case 0: key[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: key.removeLast(random.number(in: 0...key.count))
        default: key.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        }
      }
      if let parts = CanonicalKey.Parts(key.rawBytes) {
        #expect(parts.path.end <= key.count && parts.multihash.end <= key.count)
      }
      _ = Self.part(batch, key, etag: "W/\"bafy")
    }
  }

  @Test func aCIDHasAllFormsOriginsCodecsAndPaths() throws {
    var batch = RemovalBatch()
    let place = batch.add(try Self.cid(1))
    for codec in [ContentCodec.dagPB, .raw, .dagCBOR] {
      let root = try Self.cid(1, codec)
      for form in ContentForm.allCases {
        for path in ["", "/", "/a/b"] {
          #expect(Self.part(batch, Self.key(root, path, form: form, mode: .dnslink)) == place)
        }
      }
    }
    #expect(Self.part(batch, Self.key(try Self.cid(2))) == nil)
    #expect(batch.add(try Self.cid(1, .raw)) == place && batch.count == 1)
  }

  @Test func aPathHasWhatIsBelowIt() throws {
    var batch = RemovalBatch()
    let root = try Self.cid(1)
    let outer = batch.add(Array("/in/".utf8), below: root)
    let inner = batch.add(Array("/in/deep".utf8), below: root)
    #expect(outer == 0 && inner == 1 && batch.count == 2)
    for (path, part) in [
      ("/in", outer), ("/in/", outer), ("/in/x", outer), ("/in/deeper", outer), ("/in/deep", inner),
      ("/in/deep/", inner), ("/in/deep/x/y", inner), ("/inside", nil), ("/i", nil), ("", nil),
      ("/", nil), ("/other/in", nil),
    ] as [(String, Int?)] {
      #expect(Self.part(batch, Self.key(root, path)) == part, "\(path)")
      #expect(
        Self.part(batch, Self.key(root, path, form: .car, suffix: [0, 1, 4])) == part, "\(path)")
    }
    #expect(Self.part(batch, Self.key(try Self.cid(2), "/in")) == nil)
    // A path of nothing is the root itself.
    #expect(batch.add([], below: root) == 2)
    #expect(Self.part(batch, Self.key(root, "/other")) == 2)
  }

  @Test func anIndexPageGoesWithItsDirectorysOwnPath() throws {
    var batch = RemovalBatch()
    let (root, other) = (try Self.cid(1), try Self.cid(2))
    let top = batch.add(Array("/index.html".utf8), below: root)
    let inner = batch.add(Array("/in/index.html".utf8), below: other)
    for (cid, path, part) in [
      (root, "/index.html", top), (root, "", top), (root, "/", top), (root, "/x", nil),
      (root, "/in", nil), (root, "/index.htm", nil), (other, "/in", inner), (other, "/in/", inner),
      (other, "/in/index.html", inner), (other, "/in/x", nil), (other, "/inn", nil),
      (other, "", nil),
    ] as [(CID, String, Int?)] {
      #expect(Self.part(batch, Self.key(cid, path)) == part, "\(path)")
    }
    // Of the directory as a block its page is no part.
    #expect(Self.part(batch, Self.key(root, "", form: .raw)) == nil)
  }

  @Test func whatLeadsThroughACIDIsOfIt() throws {
    var batch = RemovalBatch()
    let file = try Self.cid(3, .raw)
    _ = batch.add(try Self.cid(9))
    let place = batch.add(file)
    let key = Self.key(try Self.cid(1), "/dir/file")
    for etag in ["\"\(file)\"", "W/\"\(file)\"", "\"\(file).raw\""] {
      #expect(Self.part(batch, key, etag: etag) == place, "\(etag)")
    }
    for etag in ["", "\"", "\"x\"", "\"\(try Self.cid(1))\"", "DirIndex-x_CID-\(file)"] {
      #expect(Self.part(batch, key, etag: etag) == nil, "\(etag)")
    }
    func recorded(_ roots: String) throws -> Int? {
      var record = Record(
        key: key, stamp: 1, status: 200, totalBytes: 5, sliceShift: 20, created: 0)
      record.fields = [
        Record.Field(name: Array("X-Ipfs-Roots".utf8), value: Array(roots.utf8))
      ]
      let bytes = try #require(record.encoded())
      let read = RecordView(bytes.rawBytes)
      let view = try #require(read)
      return batch.subject.part(of: view, bytes.rawBytes)
    }
    // An Etag tells where a page stands for its directory, which no step of the way names.
    var tagged = Record(
      key: key, stamp: 1, status: 200, totalBytes: 5, sliceShift: 20, created: 0)
    tagged.etag = Array("\"\(file)\"".utf8)
    let bytes = try #require(tagged.encoded())
    let read = RecordView(bytes.rawBytes)
    let view = try #require(read)
    #expect(batch.subject.part(of: view, bytes.rawBytes) == place)
    let others = (try Self.cid(1), try Self.cid(2))
    #expect(try recorded("\(others.0),\(others.1),\(file)") == place)
    #expect(try recorded("\(others.0), \(file.text(in: .base36)) ,\(others.1)") == place)
    #expect(try recorded("\(others.0),\(others.1)") == nil && recorded(",,x,") == nil)
    // Paths say where they are: what shares their content elsewhere is none of theirs.
    var paths = RemovalBatch()
    _ = paths.add(Array("/x".utf8), below: file)
    #expect(!paths.subject.looksAtHeads)
  }
}

extension CID {
  fileprivate func text(in base: Multibase) -> String {
    var output = ByteBuffer(capacity: 128)
    appendText(in: base, to: &output)
    return output.readable.text
  }
}
