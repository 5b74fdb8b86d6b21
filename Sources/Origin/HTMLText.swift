internal import Base

/// A page in the making.
struct HTMLText {
  private(set) var text = ""

  /// Appends markup as it is.
  mutating func markup(_ markup: String) { text += markup }

  /// Appends text of any origin, with what markup is made of escaped.
  mutating func escaped(_ plain: String) {
    for character in plain.unicodeScalars {
      switch character {
      case "&": text += "&amp;"
      case "<": text += "&lt;"
      case ">": text += "&gt;"
      case "\"": text += "&quot;"
      case "'": text += "&#39;"
      default: text.unicodeScalars.append(character)
      }
    }
  }

  /// The beginning of a page, up to its heading.
  static func page(title: String) -> HTMLText {
    var page = HTMLText()
    page.markup("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n")
    page.markup("<meta name=\"viewport\" content=\"width=device-width\">\n<title>")
    page.escaped(title)
    page.markup("</title>\n<style>\n" + style + "</style>\n<h1>")
    page.escaped(title)
    page.markup("</h1>\n")
    return page
  }

  /// What tells pages apart that other versions of this program made of the same content.
  static func assets(version: Int) -> String {
    let form = Array(("\(version)" + style).utf8)
    return String(SipHash.hash128(form.rawBytes, key: SipKey(first: 0, second: 0)).first, radix: 16)
  }

  /// Part of what a listing's Etag tells apart.
  static let style = """
    :root { color-scheme: light dark }
    body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
    h1 { font-size: 1.2rem; overflow-wrap: anywhere }
    table { border-collapse: collapse; width: 100% }
    td { border-top: 1px solid #8884; padding: .35rem .5rem }
    td.size { text-align: right; white-space: nowrap }
    td.cid { font: .8rem ui-monospace, monospace; opacity: .7 }
    a { color: #0b7285; text-decoration: none } a:hover { text-decoration: underline }

    """
}
