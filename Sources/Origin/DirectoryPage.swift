internal import Base
internal import IPFS

/// The generated page of a directory that has no index.html.
enum DirectoryPage {
  /// The entity tag of a directory's page; another form of the page needs another number.
  static func etag(_ cid: CID) -> String {
    "\"DirIndex-\(assets)_CID-\(cid)\""
  }

  /// Writes the page; links to other roots lead where this host has them.
  static func html(
    path: [UInt8], isRoot: Bool, _ entries: [DirectoryEntry], on host: HostRoute.Isolation = .none
  ) -> [UInt8] {
    var page = HTMLText.page(title: "Index of \(String(decoding: path, as: UTF8.self))")
    page.markup("<table>\n")
    if !isRoot { page.markup("<tr><td><a href=\"..\">..</a><td><td>\n") }
    for entry in entries {
      // "./" keeps a name with a colon from being read as a scheme.
      page.markup("<tr><td><a href=\"./\(PercentText.encode(entry.name))\">")
      page.escaped(String(decoding: entry.name, as: UTF8.self))
      page.markup("</a><td class=\"size\">\(size(entry.totalSize))")
      page.markup("<td class=\"cid\">")
      switch host {
      case .none: link(entry, from: "", &page)
      case .subdomain(let host):
        link(entry, from: "//\(PercentText.encode(path: host.utf8))", &page)
      // Such a host has no /ipfs.
      case .dnsLink: page.markup("\(short(entry.cid))\n")
      }
    }
    page.markup("</table>\n</html>\n")
    return Array(page.text.utf8)
  }

  private static func link(_ entry: DirectoryEntry, from host: String, _ page: inout HTMLText) {
    page.markup("<a href=\"\(host)/ipfs/\(entry.cid)?filename=")
    page.markup(PercentText.encode(entry.name))
    page.markup("\">\(short(entry.cid))</a>\n")
  }

  private static let assets = HTMLText.assets(version: 2)

  private static func short(_ cid: CID) -> String {
    let text = cid.description
    return "\(text.prefix(8))…\(text.suffix(6))"
  }

  /// A size with one digit after the point, in powers of 1024.
  static func size(_ bytes: UInt64) -> String {
    guard bytes >= 1024 else { return "\(bytes) B" }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    var whole = bytes
    var below: UInt64 = 0
    repeat {
      below = whole & 1023
      whole >>= 10
      unit += 1
    } while whole >= 1024
    return "\(whole).\(below * 10 / 1024) \(units[unit - 1])"
  }
}
