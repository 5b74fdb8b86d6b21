import HTTP
import IPFS
import Testing

@testable import Origin

struct DirectoryPageTests {
  @Test(
    arguments: [
      (0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_536, "1.5 KiB"),
      (1_048_575, "1023.9 KiB"), (1 << 20, "1.0 MiB"), (UInt64.max, "15.9 EiB"),
    ] as [(UInt64, String)])
  func sizes(bytes: UInt64, text: String) {
    #expect(DirectoryPage.size(bytes) == text)
  }

  @Test func namesCannotBreakOutOfThePage() throws {
    var builder = UnixFSBuilder()
    let file = try builder.addFile([1])
    let name = "<script>\"'&.txt"
    let folder = try builder.addDirectory([name: file, "javascript:alert(1)": file])
    let rules = OriginRules(try CARStore(car: builder.car(roots: [folder.cid])))
    let page = try rules.answer(request(.get, "/ipfs/\(folder.cid)/")).text()
    #expect(!page.contains("<script>"))
    #expect(page.contains("&lt;script&gt;&quot;&#39;&amp;.txt"))
    #expect(page.contains("href=\"./%3Cscript%3E%22%27%26.txt\""))
    #expect(page.contains("href=\"./javascript%3Aalert%281%29\""))
    let link = "/ipfs/\(folder.cid)/%3Cscript%3E%22%27%26.txt"
    #expect(rules.answer(request(.get, link)).status == 200)
  }

  @Test func errorPagesEscape() throws {
    let rules = OriginRules(try CARStore(car: SampleSite().car))
    let root = try SampleSite().root
    let answer = rules.answer(
      request(.get, "/ipfs/\(root)/%3Cb%3E", [.accept: "text/html;q=0.9"]))
    #expect(answer.status == 404)
    #expect(try answer.text().contains("&lt;b&gt;"))
    #expect(try !answer.text().contains("<b>"))
  }
}
