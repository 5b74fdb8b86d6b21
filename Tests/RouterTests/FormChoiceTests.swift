import Base
import HTTP
import Testing

@testable import Router

/// What `RouteTests` do not show of a choice: where it came from, and what it says beside the form.
@Suite struct FormChoiceTests {
  private func asked(_ query: String, accept: String? = nil) -> ContentRequest? {
    Routed(
      "/ipfs/\(old)/a\(query.isEmpty ? "" : "?")\(query)",
      fields: accept.map { "Accept: \($0)\r\n" } ?? ""
    ).asked
  }

  @Test func contentLocationIsForWhatAcceptChose() {
    #expect(asked("")?.isFromAccept == false)
    #expect(asked("", accept: "*/*")?.isFromAccept == false)
    #expect(asked("", accept: "application/vnd.ipld.raw")?.isFromAccept == true)
    #expect(asked("format=none", accept: "application/vnd.ipld.raw")?.isFromAccept == true)
    #expect(asked("format=raw", accept: "application/vnd.ipld.raw")?.isFromAccept == false)
    #expect(asked("format=car", accept: "application/vnd.ipld.raw")?.isFromAccept == false)
  }

  @Test(arguments: [
    ("", false), ("download=true", true), ("download=false", false), ("download=1", false),
    ("download=TRUE", false), ("download", false), ("download=true&download=false", true),
    ("download=false&download=true", false), ("d%6Fwnload=tru%65", true), ("Download=true", false),
  ])
  func downloads(query: String, expected: Bool) {
    #expect(asked(query)?.isDownload == expected)
  }

  @Test(arguments: [
    ("", ""), ("filename=a.txt", "a.txt"), ("filename=a%20b+c.txt", "a%20b+c.txt"),
    ("filename=", ""), ("filename=&filename=b", ""), ("filename=a&filename=b", "a"),
    ("x=1&file%6Eame=%61&y", "%61"), ("Filename=a", ""), ("filename", ""),
  ])
  func namesAreAsSent(query: String, expected: String) throws {
    let target = "/ipfs/\(old)/a?\(query)"
    let asked = try #require(Routed(target).asked)
    let wire = Array("GET \(target) HTTP/1.1\r\n".utf8)
    let name = wire.rawBytes.bytes(asked.filename).text
    #expect(name == expected)
  }

  @Test(arguments: [
    ("format=car", "application/vnd.ipld.car;dups=y;order=unk", "car unknown yes"),
    ("", "application/vnd.ipld.car ; dups = \"y\" ;order= dfs;", "car depthFirst yes"),
    ("car-dups=n", "application/vnd.ipld.car;dups=y;order=unk", "car unknown no"),
    ("format=raw", "application/vnd.ipld.car;dups=y", "raw unsaid unsaid"),
    ("format=car", "application/vnd.ipld.raw;dups=y", "car unsaid unsaid"),
    (
      "format=car", "text/html, application/json, application/vnd.ipld.car;dups=y",
      "car unsaid unsaid"
    ),
    ("", "application/vnd.ipld.car;q=0.1;dups=\"\"", "car unsaid unsaid"),
    ("", "application/vnd.ipld.car;dups=\"", "pass"),
    ("", "application/vnd.ipld.car;dups=\"n", "pass"),
    ("", "application/vnd.ipld.car;version=2", "pass"),
    ("", "application/vnd.ipld.car;dups=y;dups=n", "pass"),
    ("format=raw", "application/vnd.ipld.car;version=2", "raw unsaid unsaid"),
    ("car-version=1", "application/vnd.ipld.car;version=2", "car unsaid unsaid"),
  ])
  func parametersOfTheType(query: String, accept: String, expected: String) {
    let routed = Routed("/ipfs/\(old)/a?\(query)", fields: "Accept: \(accept)\r\n")
    let said = routed.asked.map { "\($0.form) \($0.selection.order) \($0.selection.duplicates)" }
    #expect(said ?? routed.name == expected)
  }

  @Test func namesChooseAsContentDoes() {
    let fields = "Accept: application/vnd.ipld.car;dups=y\r\n"
    let name = Routed("/ipns/docs.example/a?dag-scope=entity", fields: fields).asked
    #expect(name?.form == .car && name?.selection.scope == .entity)
    #expect(name?.selection.duplicates == .yes && name?.isFromAccept == true)
    let host = "bafkqaaa.ipfs.dweb.example"
    #expect(Routed("/a?dag-scope=entity", host: host, fields: fields).asked?.form == .car)
    let unknown = "Accept: application/vnd.ipld.none\r\n"
    for host in ["path.example", host, "docs.example"] {
      let target = host == "path.example" ? "/ipfs/bafkqaaa" : "/"
      #expect(Routed(target, host: host, fields: unknown).name == "400")
    }
  }
}
