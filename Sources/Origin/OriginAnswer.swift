internal import Base
public import HTTP
internal import IPFS

/// What a request is answered with: a head, and where its body comes from.
public struct OriginAnswer {
  enum Body {
    /// None, and no length is told: 304.
    case absent
    case bytes([UInt8])
    /// A range of a UnixFS file.
    case file(FileSlice)
    /// Blocks in CAR form; no length is known.
    case car(CARWalk)
    /// Files as a TAR archive; no length is known.
    case tar(TarWalk)
  }

  public var status: Int
  public private(set) var fields: [(token: FieldToken, value: String)] = []
  var body: Body

  init(_ status: Int, _ body: Body, _ fields: [(token: FieldToken, value: String)] = []) {
    self.status = status
    self.body = body
    self.fields = fields
  }

  mutating func add(_ token: FieldToken, _ value: String) {
    fields.append((token, value))
  }

  /// The value of the first field with this token.
  public func value(_ token: FieldToken) -> String? {
    fields.first { $0.token == token }?.value
  }

  /// How many bytes the body has; nil where that is not known or there is none.
  public var bodyCount: Int64? {
    switch body {
    case .absent, .car, .tar: nil
    case .bytes(let bytes): Int64(bytes.count)
    case .file(let slice): slice.remaining
    }
  }
}

/// Why a request is not answered with content; becomes a page for the client.
struct Rejection: Error {
  var status: Int
  var sentence: String
  /// Where the client finds what it asks for, for statuses that redirect.
  private(set) var location: String?
  var fields: [(token: FieldToken, value: String)] = []

  init(_ status: Int, _ sentence: String) {
    self.status = status
    self.sentence = sentence
  }

  static func redirect(_ status: Int, to location: String) -> Rejection {
    var rejection = Rejection(status, "\(Status.reason(status))")
    rejection.location = location
    return rejection
  }
}
