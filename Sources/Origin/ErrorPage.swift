internal import HTTP

/// The answer that says in a sentence why there is no content, or where it is.
enum ErrorPage {
  /// HTML if the client takes it, else plain text.
  static func answer(_ rejection: Rejection, _ request: OriginRequest) -> OriginAnswer {
    if let location = rejection.location { return redirect(rejection, to: location) }
    let reason = "\(rejection.status) \(Status.reason(rejection.status))"
    var page = HTMLText.page(title: reason)
    page.markup("<p>")
    page.escaped(rejection.sentence)
    page.markup("</p>\n</html>\n")
    let isHTML = request.acceptsHTML
    let body = isHTML ? page.text : rejection.sentence + "\n"
    var answer = OriginAnswer(rejection.status, .bytes(Array(body.utf8)))
    answer.add(.contentType, isHTML ? "text/html" : "text/plain; charset=utf-8")
    if !isHTML { answer.add(.xContentTypeOptions, "nosniff") }
    for (token, value) in rejection.fields { answer.add(token, value) }
    return answer
  }

  private static func redirect(_ rejection: Rejection, to location: String) -> OriginAnswer {
    var page = HTMLText()
    page.markup("<a href=\"")
    page.escaped(location)
    page.markup("\">\(Status.reason(rejection.status))</a>.\n")
    var answer = OriginAnswer(rejection.status, .bytes(Array(page.text.utf8)))
    answer.add(.location, location)
    answer.add(.contentType, "text/html; charset=utf-8")
    for (token, value) in rejection.fields { answer.add(token, value) }
    return answer
  }
}
