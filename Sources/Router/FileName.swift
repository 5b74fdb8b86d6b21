internal import Base
internal import HTTP

/// The name that a query gives a file, and what it means for the file's type (gateway digest A2).
enum FileName {
  /// Longer ones are no extensions.
  private static let longestExtension = 32

  /// The extension of the name, with its dot, where a gateway has to be asked what type it makes; empty
  /// where that is known here or the name changes nothing, nil where the request is not to be kept.
  static func foreignExtension(
    _ name: [UInt8], _ request: ContentRequest, path: RawSpan
  ) -> [UInt8]? {
    if !request.hasTypeOfName { return [] }
    guard MediaType.sure(ofName: name) == nil else { return [] }
    let own = MediaType.fileExtension(path.bytes(request.lastSegment).array)
    let given = MediaType.fileExtension(name)
    if given == own { return [] }
    guard given.count <= longestExtension else { return nil }
    return given.isEmpty ? [UInt8(ascii: ".")] : given
  }
}
