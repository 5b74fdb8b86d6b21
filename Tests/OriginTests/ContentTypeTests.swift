import Testing

@testable import Origin

struct ContentTypeTests {
  @Test(
    arguments: [
      ("a.html", "text/html"), ("A.PNG", "image/png"), ("x.tar.gz", "application/gzip"),
      ("noext", nil), ("dot.", nil), (".txt", "text/plain; charset=utf-8"), ("a.unknown", nil),
    ] as [(String, String?)])
  func names(name: String, type: String?) {
    #expect(ContentType.of(name: Array(name.utf8)) == type)
  }
}
