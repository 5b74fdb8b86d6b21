import Base
import TestKit

/// The cases: every pair of values of two dimensions where the pair makes sense, the rest plain; then
/// some hundred points at random, and what gateways have been seen to get wrong.
enum FormTable {
  static let cases: [FormCase] = {
    var table = Builder()
    table.addFormats()
    table.addAccept()
    table.addIdentity()
    table.addRanges()
    table.addConditions()
    table.addHostsAndSpellings()
    table.addMethods()
    table.addNames()
    table.addCacheControl()
    table.addMixed(150)
    return table.cases
  }()

  // MARK: Values

  static let formats = [
    Choice("format=raw"), Choice("format=car"),
    Choice("car block", "format=car&dag-scope=block"),
    Choice("car entity", "format=car&dag-scope=entity"),
    Choice("car all", "format=car&dag-scope=all"),
    Choice("car bytes", "format=car&dag-scope=entity&entity-bytes=10:70000"),
    Choice("car last bytes", "format=car&entity-bytes=-50:*"),
    Choice("car unk", "format=car&car-order=unk"), Choice("car dups=y", "format=car&car-dups=y"),
    Choice("car spelt out", "format=car&car-version=1&car-order=dfs&car-dups=n"),
    Choice("car version 2", "format=car&car-version=2"),
    Choice("car bad scope", "format=car&dag-scope=some"),
    Choice("car bad bytes", "format=car&entity-bytes=9:3"),
    Choice("format=tar"), Choice("format=json"), Choice("format=cbor"), Choice("format=dag-json"),
    Choice("format=dag-cbor"), Choice("format=ipns-record"), Choice("format=zip"),
    Choice("format="), Choice("dag-scope=block"),
  ]

  static let accepts = [
    Choice(
      "browser",
      "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    Choice("axios", "application/json, text/plain, */*"), Choice("*/*"),
    Choice("raw", "application/vnd.ipld.raw"), Choice("car", "application/vnd.ipld.car"),
    Choice("car dups", "application/vnd.ipld.car; version=1; order=dfs; dups=y"),
    Choice("car unk", "application/vnd.ipld.car;order=unk;dups=n"),
    Choice("car version 2", "application/vnd.ipld.car; version=2"),
    Choice("tar", "application/x-tar"), Choice("cbor", "application/cbor"),
    Choice("dag-json", "application/vnd.ipld.dag-json"),
    Choice("dag-cbor", "application/vnd.ipld.dag-cbor"),
    Choice("record", "application/vnd.ipfs.ipns-record"),
    Choice("unknown", "application/vnd.ipld.unheard-of"),
    Choice("page then raw", "text/html, application/vnd.ipld.raw;q=0.1"),
    Choice("raw q=0", "application/vnd.ipld.raw;q=0, text/plain"),
  ]

  static let ranges = [
    Choice("first byte", "bytes=0-0"), Choice("over slices", "bytes=65530-65545"),
    Choice("10-19", "bytes=10-19"), Choice("open", "bytes=12-"), Choice("suffix", "bytes=-7"),
    Choice("long suffix", "bytes=-99999999"), Choice("empty suffix", "bytes=-0"),
    Choice("beyond", "bytes=99999999-"), Choice("to beyond", "bytes=5-99999999"),
    Choice("several", "bytes=0-9,20-29"), Choice("backwards", "bytes=9-3"),
    Choice("other unit", "lines=0-9"),
  ]

  static let names = [
    Choice("filename=photo.png"), Choice("filename=Bericht%20%C3%BC.pdf"),
    Choice("filename=page.html"), Choice("download=true"),
    Choice("filename and download", "filename=x.txt&download=true"),
    Choice("download=false", "filename=x.txt&download=false"), Choice("filename="),
    Choice("filename=no-extension"), Choice("filename=a%22b%5Cc.txt"),
    Choice("unknown parameters", "utm=1&x=y%20z"), Choice("go-get=1"),
    Choice("escaped parameter", "%66ilename=photo.png"),
  ]

  /// Collects cases, each name once.
  struct Builder {
    private(set) var cases: [FormCase] = []
    private var known: Set<String> = []

    mutating func add(_ content: ContentForm, _ change: (inout FormCase) -> Void = { _ in }) {
      var new = FormCase(content)
      change(&new)
      if known.insert(new.name).inserted { cases.append(new) }
    }

    mutating func addFormats() {
      for content in ContentForm.allCases {
        add(content)
        for number in [0, 1] { add(content) { $0.format = formats[number] } }
      }
      for content in ContentForm.chief {
        for format in formats { add(content) { $0.format = format } }
      }
      for content in [ContentForm.name, .nameIndex, .shardedFile, .throughCBOR, .noLink] {
        for format in formats[1...7] { add(content) { $0.format = format } }
      }
      for content in [ContentForm.cbor, .json] {
        for format in formats[13...17] { add(content) { $0.format = format } }
      }
    }

    mutating func addAccept() {
      for content in ContentForm.chief {
        for accept in accepts { add(content) { $0.accept = accept } }
      }
      for content in ContentForm.allCases {
        for accept in accepts[0...1] { add(content) { $0.accept = accept } }
      }
      // The URL's format wins, and takes Accept's parameters only where it is the same.
      for format in formats {
        for number in [0, 1, 3, 5, 13] {
          add(.tree) { ($0.format, $0.accept) = (format, accepts[number]) }
        }
      }
    }

    mutating func addIdentity() {
      for content in [ContentForm.identityFile, .identityData, .probe] {
        for format in formats { add(content) { $0.format = format } }
        for accept in accepts { add(content) { $0.accept = accept } }
        for range in ranges { add(content) { $0.range = range } }
        for condition in Condition.allCases { add(content) { $0.condition = condition } }
        for name in names { add(content) { $0.query = name } }
      }
    }

    mutating func addRanges() {
      let contents: [ContentForm] = [
        .leaf, .tree, .file, .untyped, .text, .empty, .index, .shardedFile, .symlink, .identity,
        .listing, .indexWithoutSlash, .dagJSON, .name,
      ]
      for content in contents {
        for range in ranges { add(content) { $0.range = range } }
      }
      for number in [0, 1, 5, 13, 16] {
        for range in ranges {
          add(.tree) { ($0.format, $0.range) = (formats[number], range) }
          add(.leaf) { ($0.format, $0.range) = (formats[number], range) }
        }
      }
      for accept in accepts[0...3] {
        for range in ranges[0...5] { add(.untyped) { ($0.accept, $0.range) = (accept, range) } }
      }
    }

    mutating func addConditions() {
      for condition in Condition.allCases {
        for content in ContentForm.chief { add(content) { $0.condition = condition } }
        for number in [0, 1, 5, 8, 13, 14, 16, 17] {
          add(.tree) { ($0.format, $0.condition) = (formats[number], condition) }
          add(.dagJSON) { ($0.format, $0.condition) = (formats[number], condition) }
        }
        for accept in accepts[0...4] {
          add(.file) { ($0.accept, $0.condition) = (accept, condition) }
        }
        for content in [ContentForm.noLink, .invalid, .nestedIndex, .nameListing] {
          add(content) { $0.condition = condition }
        }
      }
    }

    mutating func addHostsAndSpellings() {
      for content in ContentForm.allCases {
        for host in HostForm.allCases { add(content) { $0.host = host } }
      }
      for host in HostForm.allCases {
        for format in formats[0...1] + formats[13...14] {
          for content in [ContentForm.file, .index, .listing, .name] {
            add(content) { ($0.host, $0.format) = (host, format) }
          }
        }
        for accept in accepts[0...4] {
          add(.index) { ($0.host, $0.accept) = (host, accept) }
        }
        for name in names { add(.indexWithoutSlash) { ($0.host, $0.query) = (host, name) } }
        for content in [ContentForm.moved, .shown, .missing] {
          for format in formats[0...1] { add(content) { ($0.host, $0.format) = (host, format) } }
          for accept in accepts[0...1] { add(content) { ($0.host, $0.accept) = (host, accept) } }
          add(content) { ($0.host, $0.range) = (host, ranges[2]) }
          add(content) { ($0.host, $0.method) = (host, "HEAD") }
          add(content) { ($0.host, $0.condition) = (host, .noneEqual) }
        }
      }
      for spelling in Spelling.allCases {
        let contents: [ContentForm] = [
          .leaf, .tree, .file, .index, .indexWithoutSlash, .listing, .symlink, .dagCBOR, .identity,
          .probe, .noLink, .noBlock,
        ]
        for content in contents { add(content) { $0.spelling = spelling } }
        for format in formats[0...2] + formats[13...16] {
          add(.tree) { ($0.spelling, $0.format) = (spelling, format) }
          add(.leaf) { ($0.spelling, $0.format) = (spelling, format) }
        }
        for host in [HostForm.subdomain, .gatewayHost] {
          add(.file) { ($0.spelling, $0.host) = (spelling, host) }
        }
      }
    }

    mutating func addMethods() {
      for content in ContentForm.allCases {
        for method in ["HEAD", "OPTIONS", "POST"] { add(content) { $0.method = method } }
      }
      for method in ["HEAD", "OPTIONS"] {
        for format in formats { add(.tree) { ($0.method, $0.format) = (method, format) } }
      }
      for accept in accepts { add(.file) { ($0.method, $0.accept) = ("HEAD", accept) } }
      for range in ranges {
        add(.tree) { ($0.method, $0.range) = ("HEAD", range) }
        add(.leaf) { ($0.method, $0.range) = ("HEAD", range) }
      }
      for condition in Condition.allCases {
        add(.file) { ($0.method, $0.condition) = ("HEAD", condition) }
      }
      for method in ["PUT", "DELETE", "PATCH"] { add(.file) { $0.method = method } }
    }

    mutating func addNames() {
      for name in names {
        for content in [
          ContentForm.leaf, .tree, .file, .untyped, .index, .indexWithoutSlash, .listing,
          .listingWithoutSlash, .symlink, .dagJSON, .name, .twice, .uri, .identity,
        ] {
          add(content) { $0.query = name }
        }
        for number in [0, 1, 13, 14, 16] {
          add(.tree) { ($0.format, $0.query) = (formats[number], name) }
        }
      }
    }

    mutating func addCacheControl() {
      for content in ContentForm.allCases {
        add(content) { $0.onlyIfCached = true }
        add(content) { $0.serviceWorker = true }
      }
      for method in ["HEAD", "OPTIONS"] {
        add(.file) { ($0.method, $0.onlyIfCached) = (method, true) }
        add(.leaf) { ($0.method, $0.onlyIfCached) = (method, true) }
      }
      for format in formats { add(.tree) { ($0.format, $0.onlyIfCached) = (format, true) } }
      for format in formats[0...1] {
        add(.leaf) { ($0.format, $0.serviceWorker) = (format, true) }
      }
      for condition in [Condition.noneEqual, .matchOther] {
        add(.leaf) { ($0.condition, $0.onlyIfCached) = (condition, true) }
      }
    }

    /// Points with several dimensions that are not plain.
    mutating func addMixed(_ count: Int) {
      var random = SeededRandom(seed: 20)
      func draw<Value>(_ values: [Value], in hundred: Int) -> Value? {
        guard random.number(in: 0...99) < hundred else { return nil }
        return values[random.number(in: 0...values.count - 1)]
      }
      for _ in 0..<count {
        let content = draw(ContentForm.allCases, in: 60) ?? .tree
        let method = draw(["HEAD"], in: 20) ?? "GET"
        let host = draw(HostForm.allCases, in: 25) ?? .address
        let spelling = draw(Spelling.allCases, in: 30) ?? .own
        let condition = draw(Condition.allCases, in: 30)
        let range = condition == nil ? draw(ranges, in: 40) : nil
        let format = draw(formats, in: 50)
        let accept = draw(accepts, in: 40)
        let query = draw(names, in: 30)
        add(content) {
          ($0.method, $0.host, $0.spelling, $0.condition) = (method, host, spelling, condition)
          ($0.range, $0.format, $0.accept, $0.query) = (range, format, accept, query)
        }
      }
    }
  }
}
