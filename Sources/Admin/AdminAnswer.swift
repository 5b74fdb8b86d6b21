internal import Base
internal import HTTP
internal import Server

/// Answers of the admin address, each whole at once.
enum AdminAnswer {
  static func send(_ value: JSONValue, status: Int = 200, on stream: ClientStream) {
    send(status, "application/json", on: stream) { body in
      body.append(value.text)
      body.append("\n")
    }
  }

  /// An error: as JSON below `/api`, as a line of text elsewhere.
  static func send(
    _ refusal: AdminRefusal, isAPI: Bool, allow: StaticString = "", on stream: ClientStream
  ) {
    if isAPI {
      var members = [JSONValue.Member("error", .string(refusal.error))]
      if !refusal.hint.isEmpty { members.append(JSONValue.Member("hint", .string(refusal.hint))) }
      send(refusal.status, "application/json", allow: allow, on: stream) { body in
        body.append(JSONValue.object(members).text)
        body.append("\n")
      }
      return
    }
    send(refusal.status, "text/plain; charset=utf-8", allow: allow, on: stream) { body in
      body.append(decimal: refusal.status)
      body.append(" ")
      body.append(Status.reason(refusal.status))
      body.append(": ")
      body.append(refusal.error)
      if !refusal.hint.isEmpty {
        body.append("; ")
        body.append(refusal.hint)
      }
      body.append("\n")
    }
  }

  /// What may be asked of a page.
  static func sendMethods(_ methods: StaticString, on stream: ClientStream) {
    stream.begin(status: 204)
    stream.field(.allow, methods)
    stream.field(.cacheControl, "no-store")
    stream.endHead(.absent)
    stream.finish()
  }

  static func send(
    _ status: Int, _ type: StaticString, allow: StaticString = "", on stream: ClientStream,
    _ write: (inout ByteBuffer) -> Void
  ) {
    guard stream.isUntouched else { return }
    var body = ByteBuffer(capacity: 32 * 1024)
    write(&body)
    stream.begin(status: status)
    stream.field(.contentType, type)
    stream.field(.cacheControl, "no-store")
    stream.field(.xContentTypeOptions, "nosniff")
    if allow.utf8CodeUnitCount > 0 { stream.field(.allow, allow) }
    if status == 401 { stream.field(.wwwAuthenticate, "Bearer realm=\"sluice\"") }
    if status == 503 { stream.field(.retryAfter, "10") }
    stream.endHead(.known(Int64(body.count)))
    if stream.bodyDue > 0 { stream.fill(body.readable) }
    stream.finish()
  }
}
