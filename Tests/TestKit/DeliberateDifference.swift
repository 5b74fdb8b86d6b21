/// Where Sluice does not answer as Kubo's gateway does, on purpose.
///
/// Each has its reason; everything else is a fault.
public enum DeliberateDifference: String, CaseIterable, Sendable {
  case failureIsNotImmutable =
    "A 412 or 416 is not said to be immutable: a cache on the way would keep the failure for a year."
  case etagOfCAR =
    "A CAR's weak Etag ends in a hash over the path as it was written; one answer serves all spellings."
  case rangeIsIgnored =
    "A Range that RFC 9110 has ignored is, and a suffix longer than a block is the whole of it."
  case typeOfPart =
    "A part has the type of the whole, which the gateway does not know when it has only seen the part."
  case failureIsRepeated =
    "What has just failed is not asked for again at once: its status is repeated, with Retry-After."
  case labelTooLong =
    "A label of more than 63 bytes is no host name; it is refused, not redirected."

  /// Takes what is deliberate out of the differences between the origin's answer and a gateway's.
  ///
  /// `whole` is the origin's answer to the same request without conditions and range, if it is known.
  public static func remove(
    from differences: [Difference], _ question: Question, expected: Response, got: Response,
    whole: Response? = nil
  ) -> [Difference] {
    if isLabelTooLong(question), got.status == 400, [301, 400].contains(expected.status) {
      return []
    }
    if isIgnoredRange(question, expected, got, whole) { return [] }
    if isOtherCAR(question, expected, got) { return [] }
    let isRepeated = isFailureRepeated(expected, got)
    return differences.filter { difference in
      let isOwn = ["Retry-After", "Cache-Control", "X-Ipfs-Roots"].contains(difference.field)
      if isRepeated && isOwn { return false }
      return switch difference.field {
      case "Cache-Control", "Content-Disposition", "X-Content-Type-Options":
        !([412, 416].contains(expected.status) && got[difference.field] == nil)
      case "Content-Type": !(expected.status == 206 && expected["Content-Type"] == nil)
      case "Etag": !isSameCAR(expected["Etag"], got["Etag"])
      default: true
      }
    }
  }

  private static func isFailureRepeated(_ expected: Response, _ got: Response) -> Bool {
    expected.status == got.status && got["Retry-After"] != nil
      && (got["Cache-Status"]?.hasSuffix("detail=failing") ?? false)
  }

  private static func isSameCAR(_ one: String?, _ other: String?) -> Bool {
    func place(_ etag: String?) -> Substring? {
      guard let etag, let mark = etag.firstRange(of: ".car.") else { return nil }
      return etag[..<mark.upperBound]
    }
    return place(one) != nil && place(one) == place(other)
  }

  /// A condition that names the origin's Etag of a CAR names another one here.
  private static func isOtherCAR(
    _ question: Question, _ expected: Response, _ got: Response
  ) -> Bool {
    expected.status == 304 && got.status == 200 && expected["Etag"] != got["Etag"]
      && isSameCAR(expected["Etag"], got["Etag"]) && got.isComplete
      && question.fields.contains { $0.name == "If-None-Match" && $0.value.contains(".car.") }
  }

  private static func isIgnoredRange(
    _ question: Question, _ expected: Response, _ got: Response, _ whole: Response?
  ) -> Bool {
    guard let range = question.fields.first(where: { $0.name == "Range" })?.value else {
      return false
    }
    if range == "bytes=9-3" || !range.hasPrefix("bytes=") {
      guard [400, 416].contains(expected.status) else { return false }
      return got.status == 200
        && (question.method == "HEAD" || whole.map { $0.body == got.body } ?? true)
    }
    guard expected.status == 400, range.hasPrefix("bytes=-"), got.status == 206 else {
      return false
    }
    return question.method == "HEAD" || whole.map { $0.body == got.body } ?? true
  }

  /// Whether a question's host cannot be one.
  public static func isLabelTooLong(_ question: Question) -> Bool {
    (question.host?.prefix { $0 != "." }.utf8.count ?? 0) > 63
  }
}
