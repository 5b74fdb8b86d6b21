internal import Base
internal import IPFS

/// The generated page of a dag-cbor or dag-json block.
enum DAGPage {
  /// The entity tag of a block's page; another form of the page needs another number.
  static func etag(_ cid: CID) -> String {
    "\"DagIndex-\(assets)_CID-\(cid)\""
  }

  static func html(path: [UInt8], _ cid: CID, _ block: [UInt8]) -> [UInt8] {
    var page = HTMLText.page(title: String(decoding: path, as: UTF8.self))
    page.markup("<table>\n<tr><td>CID<td>\(cid)\n<tr><td>Codec<td>")
    page.markup("\(cid.codec.name ?? "unknown") (0x\(String(cid.codec.rawValue, radix: 16)))\n")
    page.markup("<tr><td>Size<td>\(DirectoryPage.size(UInt64(block.count)))\n</table>\n")
    page.markup("<p>Download: <a href=\"?format=raw\">block</a>")
    page.markup(cid.codec == .dagJSON ? json : cbor)
    // Best effort, as a preview is.
    var text = ByteBuffer(capacity: 2 * block.count + 64)
    if (try? DAGConversion.append(block.rawBytes, from: cid.codec, to: .dagJSON, to: &text)) != nil
    {
      page.markup("</p>\n<pre>")
      page.escaped(text.readable.text)
      page.markup("</pre>")
    }
    page.markup("\n</html>\n")
    return Array(page.text.utf8)
  }

  private static let json = " <a href=\"?format=dag-json\">DAG-JSON</a>"
  private static let cbor = " <a href=\"?format=dag-cbor\">DAG-CBOR</a>"
  private static let assets = HTMLText.assets(version: 1)
}
