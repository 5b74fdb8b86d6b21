import IPFS
import TestKit

/// The content of one pair of requests: nobody else's, so that the pair meets a cold cache.
struct PairContent: Sendable {
  var root: CID
  /// `/data` and `/data.json` below the root: a file of three blocks, two of them the same.
  var data: CID
  /// The block of `data` under the codec raw.
  var twin: CID
  var leaf: CID
  var json: CID
  /// A name that leads to the root.
  var name: String

  init(in dag: inout TestDAG, salt: Int) throws {
    let block = Array("block \(salt) ".utf8) + [UInt8](repeating: 0x61, count: 200)
    let half = Array(block[..<200])
    let file = try dag.file(half + half + Array("the end of \(salt)\n".utf8))
    data = file.cid
    twin = try dag.block(dag.bytes(of: file.cid) ?? [], .raw).cid
    let text = try dag.file(Array("lower \(salt)\n".utf8))
    leaf = text.cid
    json = try dag.block(Array("{\"n\":\(salt)}".utf8), .dagJSON).cid
    let page = try dag.file(Array("<!DOCTYPE html><p>\(salt)".utf8))
    root = try dag.directory([
      "data": file, "data.json": file, "file.txt": text,
      "File.txt": dag.file(Array("upper \(salt)\n".utf8)), "é.txt": text,
      "site": dag.directory(["index.html": page, "file.txt": text]),
      "plain": dag.directory(["data": text, "\(salt)": page]),
    ]).cid
    name = "p\(salt).example"
  }
}

/// Requests of which each differs from another one in one thing.
struct Probe: Sendable {
  var name: String
  var usesName = false
  /// Whether the cache alone may answer: then 412 is right too.
  var onlyIfCached = false
  /// What the origin is asked; the client adds what a gateway must not believe.
  var lies: [(name: String, value: String)] = []
  var question: @Sendable (PairContent) -> Question

  private static func path(
    _ name: String, _ path: @escaping @Sendable (PairContent) -> String
  ) -> Probe {
    Probe(name: name) { Question(path($0)) }
  }

  private static func data(_ query: String) -> Probe {
    path("data?\(query)") { "/ipfs/\($0.root)/data?\(query)" }
  }

  private static func data(
    _ name: String, _ fields: [(name: String, value: String)], method: String = "GET"
  ) -> Probe {
    Probe(name: name) {
      var question = Question("/ipfs/\($0.root)/data")
      (question.method, question.fields) = (method, fields)
      return question
    }
  }

  private static func host(
    _ name: String, _ host: @escaping @Sendable (PairContent) -> String,
    _ path: @escaping @Sendable (PairContent) -> String
  ) -> Probe {
    Probe(name: name) {
      var question = Question(path($0))
      question.host = host($0)
      return question
    }
  }

  static let all: [Probe] = paths + queries + fields + hosts

  private static let paths: [Probe] = [
    path("root with slash") { "/ipfs/\($0.root)/" },
    path("root") { "/ipfs/\($0.root)" },
    path("data") { "/ipfs/\($0.root)/data" },
    path("data with slash") { "/ipfs/\($0.root)/data/" },
    path("data by another name") { "/ipfs/\($0.root)/data.json" },
    path("data escaped") { "/ipfs/\($0.root)/d%61ta" },
    path("data with escaped slash") { "/ipfs/\($0.root)%2Fdata" },
    path("data unclean") { "/ipfs/\($0.root)//data" },
    path("file.txt") { "/ipfs/\($0.root)/file.txt" },
    path("File.txt") { "/ipfs/\($0.root)/File.txt" },
    path("FILE.TXT") { "/ipfs/\($0.root)/FILE.TXT" },
    path("é composed") { "/ipfs/\($0.root)/%C3%A9.txt" },
    path("é decomposed") { "/ipfs/\($0.root)/e%CC%81.txt" },
    path("site with slash") { "/ipfs/\($0.root)/site/" },
    path("site") { "/ipfs/\($0.root)/site" },
    path("site's index") { "/ipfs/\($0.root)/site/index.html" },
    path("plain with slash") { "/ipfs/\($0.root)/plain/" },
    path("plain's data") { "/ipfs/\($0.root)/plain/data" },
    path("bare data") { "/ipfs/\($0.data)" },
    path("bare data's block as raw") { "/ipfs/\($0.twin)" },
    path("bare data, version 0") { "/ipfs/\((try? $0.data.version0()) ?? $0.data)" },
    path("bare data, base36") { "/ipfs/\($0.data.text(in: .base36))" },
    path("data, root in version 0") { "/ipfs/\((try? $0.root.version0()) ?? $0.root)/data" },
    path("site, root in version 0") { "/ipfs/\((try? $0.root.version0()) ?? $0.root)/site/" },
    path("bare leaf") { "/ipfs/\($0.leaf)" },
    path("bare leaf, base58") { "/ipfs/\($0.leaf.text(in: .base58))" },
    path("bare dag-json") { "/ipfs/\($0.json)" },
    path("twice ipfs") { "/ipfs/ipfs/\($0.root)/data" },
    path("uri") { "/ipfs/?uri=ipfs%3A%2F%2F\($0.root)%2Fdata" },
  ]

  private static let queries: [Probe] =
    [
      "format=raw", "format=car", "format=car&dag-scope=block", "format=car&dag-scope=entity",
      "format=car&entity-bytes=0:99", "format=car&entity-bytes=100:199",
      "format=car&entity-bytes=-100:*", "format=car&car-order=unk", "format=car&car-dups=y",
      "format=tar", "format=json", "format=cbor", "format=dag-json", "format=zip",
      "dag-scope=block", "filename=x.png", "filename=x.html&download=true", "download=true",
      "x=1", "go-get=1",
    ].map { data($0) } + [
      path("bare data?format=raw") { "/ipfs/\($0.data)?format=raw" },
      path("bare data?format=car") { "/ipfs/\($0.data)?format=car" },
      path("bare leaf?format=raw") { "/ipfs/\($0.leaf)?format=raw" },
      path("bare data's block as raw?format=raw") { "/ipfs/\($0.twin)?format=raw" },
      path("dag-json?format=dag-json") { "/ipfs/\($0.json)?format=dag-json" },
      path("site?go-get") { "/ipfs/\($0.root)/site?go-get=1" },
    ]

  private static let fields: [Probe] = [
    data("Accept axios", [("Accept", "application/json, text/plain, */*")]),
    data("Accept raw", [("Accept", "application/vnd.ipld.raw")]),
    data("Accept car", [("Accept", "application/vnd.ipld.car")]),
    data("Accept car dups", [("Accept", "application/vnd.ipld.car; dups=y")]),
    data("Accept unknown", [("Accept", "application/vnd.ipld.unheard-of")]),
    data("HEAD", [], method: "HEAD"),
    data("Range", [("Range", "bytes=10-19")]),
    data("Range beyond", [("Range", "bytes=99999-")]),
    data("If-None-Match *", [("If-None-Match", "*")]),
    data("If-Match other", [("If-Match", "\"x\"")]),
    data("Service-Worker", [("Service-Worker", "script")]),
    Probe(name: "only-if-cached", onlyIfCached: true) {
      var question = Question("/ipfs/\($0.root)/data")
      question.fields = [("Cache-Control", "only-if-cached")]
      return question
    },
    Probe(name: "page of dag-json") {
      var question = Question("/ipfs/\($0.json)")
      question.fields = [("Accept", "text/html")]
      return question
    },
  ]

  private static let hosts: [Probe] =
    [
      host("subdomain", { "\($0.root).ipfs.dweb.test" }, { _ in "/data" }),
      host("subdomain listing", { "\($0.root).ipfs.dweb.test" }, { _ in "/plain/" }),
      host("subdomain site", { "\($0.root).ipfs.dweb.test" }, { _ in "/site" }),
      host("gateway host", { _ in "dweb.test" }, { "/ipfs/\($0.root)/data" }),
      host("another host", { _ in "other.test" }, { "/ipfs/\($0.root)/plain/" }),
      Probe(
        name: "gateway host forwarded", lies: [("X-Forwarded-Host", "dweb.test")],
        question: { Question("/ipfs/\($0.root)/data") }),
      Probe(
        name: "evil host forwarded",
        lies: [("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Proto", "https")],
        question: { Question("/ipfs/\($0.root)/site") }),
      Probe(
        name: "gateway host, https forwarded", lies: [("X-Forwarded-Proto", "https")],
        question: {
          var question = Question("/ipfs/\($0.root)/data")
          question.host = "dweb.test"
          return question
        }),
    ] + named

  private static let named: [Probe] = [
    path("data under /ipns") { "/ipns/\($0.name)/data" },
    path("site under /ipns") { "/ipns/\($0.name)/site/" },
    path("listing under /ipns") { "/ipns/\($0.name)/plain/" },
    path("car under /ipns") { "/ipns/\($0.name)/data?format=car" },
    host("DNSLink host", { $0.name }, { _ in "/data" }),
    host("DNSLink host's listing", { $0.name }, { _ in "/plain/" }),
    host("path on DNSLink host", { $0.name }, { "/ipfs/\($0.root)/data" }),
  ].map { probe in
    var probe = probe
    probe.usesName = true
    return probe
  }
}
