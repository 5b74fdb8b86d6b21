internal import Base
internal import HTTP

/// The name that a query gives a file, and what it means for the file's type (gateway digest A2).
enum FileName {
  /// Longer ones are no extensions.
  private static let longestExtension = 32

  /// Whether a gateway has to be asked what type the name's extension makes.
  ///
  /// Not where that is known here or the name changes nothing. Nil where the request is not to be kept.
  static func hasForeignExtension(
    _ name: [UInt8], _ request: ContentRequest, path: RawSpan
  ) -> Bool? {
    if !request.hasTypeOfName || MediaType.sure(ofName: name) != nil { return false }
    let own = MediaType.fileExtension(path.bytes(request.lastSegment).array)
    let given = MediaType.fileExtension(name)
    if given == own { return false }
    return given.count <= longestExtension ? true : nil
  }
}
