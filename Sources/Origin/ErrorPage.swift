internal import HTTP

/// The answer that says in a sentence why there is no content.
enum ErrorPage {
  /// HTML if the client takes it, else plain text.
  static func answer(_ rejection: Rejection, _ request: OriginRequest) -> OriginAnswer {
    let reason = "\(rejection.status) \(Status.reason(rejection.status))"
    var page = HTMLText.page(title: reason)
    page.markup("<p>")
    page.escaped(rejection.sentence)
    page.markup("</p>\n</html>\n")
    let isHTML = request.acceptsHTML
    let body = isHTML ? page.text : rejection.sentence + "\n"
    var answer = OriginAnswer(rejection.status, .bytes(Array(body.utf8)))
    answer.add(.contentType, isHTML ? "text/html" : "text/plain; charset=utf-8")
    answer.add(.xContentTypeOptions, "nosniff")
    for (token, value) in rejection.fields { answer.add(token, value) }
    return answer
  }
}
