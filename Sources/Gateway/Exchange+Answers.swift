internal import Base
internal import HTTP
internal import Server

extension Exchange {
  /// `/health`: whether this process takes requests.
  func answerHealth() {
    answer(status: worker.isDraining ? 503 : 200, type: "text/plain; charset=utf-8") { body in
      body.append(worker.isDraining ? "draining\n" : "ok\n")
    }
  }

  /// OPTIONS, for every path: what a browser asks before a request of another site's.
  func answerOptions() {
    guard let stream else { return }
    stream.begin(status: 200)
    stream.field(.allow, "GET, HEAD, OPTIONS")
    writeCrossOriginFields(on: stream)
    writeCacheFields(on: stream)
    stream.endHead(.known(0))
    finish()
  }

  /// Sends the client to the content's own address.
  func redirect(to location: [UInt8], status: Int = 301) {
    guard let stream else { return }
    stream.begin(status: status)
    stream.field(.location, location.rawBytes)
    stream.field(.contentType, "text/html; charset=utf-8")
    writeCrossOriginFields(on: stream)
    writeCacheFields(on: stream)
    let body = Array(
      "<a href=\"\(Self.escaped(String(decoding: location, as: UTF8.self)))\">\(Status.reason(status))</a>.\n"
        .utf8)
    stream.endHead(.known(Int64(body.count)))
    if method != .head { stream.fill(body.rawBytes) }
    finish()
  }

  /// An error of the gateway's own, as a sentence; as a page for those who ask for HTML.
  ///
  /// - Parameters:
  ///   - retryAfter: seconds until asking again is of use, where they are known.
  ///   - fields: writes further fields.
  func refuse(
    status: Int, _ sentence: String, retryAfter: Int64? = nil,
    fields: ((ClientStream) -> Void)? = nil
  ) {
    let type: StaticString = acceptsHTML ? "text/html; charset=utf-8" : "text/plain; charset=utf-8"
    answer(status: status, type: type, retryAfter: retryAfter, fields: fields) { body in
      if acceptsHTML {
        body.append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>")
        body.append(decimal: status)
        body.append(" ")
        body.append(Status.reason(status))
        body.append("</title></head>\n<body><h1>")
        body.append(decimal: status)
        body.append(" ")
        body.append(Status.reason(status))
        body.append("</h1><p>")
        body.append(Self.escaped(sentence))
        body.append("</p></body></html>\n")
      } else {
        body.append(decimal: status)
        body.append(" ")
        body.append(Status.reason(status))
        body.append(": ")
        body.append(sentence)
        body.append("\n")
      }
    }
  }

  private func answer(
    status: Int, type: StaticString, retryAfter: Int64? = nil,
    fields: ((ClientStream) -> Void)? = nil, _ write: (inout ByteBuffer) -> Void
  ) {
    guard let stream, stream.isUntouched else {
      breakOff()
      return
    }
    var body = ByteBuffer(capacity: 512)
    write(&body)
    stream.begin(status: status)
    stream.field(.contentType, type)
    // Caches must not keep a 429 (RFC 6585, section 4). What a list denies now may be allowed in a moment, and 410
    // would be kept by its name (RFC 9110, 15.5.11).
    if status >= 500 || status == 429 || deniedBy != nil {
      stream.field(.cacheControl, "no-store")
    }
    if !acceptsHTML { stream.field(.xContentTypeOptions, "nosniff") }
    if status == 405 { stream.field(.allow, "GET, HEAD, OPTIONS") }
    if let retryAfter {
      // As gateways say of what fails, and so of what is remembered to.
      writeContentLocation(on: stream)
      stream.field(.retryAfter, decimal: retryAfter)
    } else if status == 503 || status == 504 {
      stream.field(.retryAfter, "10")
    }
    fields?(stream)
    writeContentFields(on: stream)
    writeCrossOriginFields(on: stream)
    writeCacheFields(on: stream)
    stream.endHead(.known(Int64(body.count)))
    if method != .head { stream.fill(body.readable) }
    finish()
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }
}
