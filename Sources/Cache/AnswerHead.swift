public import Base

/// Why an answer was not kept; the names are stable, in logs and metrics.
public enum NotStored: UInt8, Sendable, CaseIterable {
  /// Its Etag or roots do not belong to what was asked for: a misdirected upstream, a captive page.
  case foreignAnswer
  /// No Content-Length.
  case noLength
  case setCookie
  /// A status other than 200.
  case status
  /// A listing or another generated view, which differs between gateways' versions.
  case generated
  /// The request is of a kind that is passed through.
  case bypass
  /// The bytes are not those of the CID.
  case mismatch
  /// The upstream ended before the body was whole.
  case truncated
  /// The disk took nothing.
  case disk
  /// The memory for slices on their way to the disk was in use for too long.
  case memory
  /// A CAR larger than those that are kept.
  case tooLarge
  /// What a CAR is of could not be found out: an unknown hash or codec, or too much structure.
  case unchecked

  public var name: StaticString {
    switch self {
    case .foreignAnswer: "foreign_answer"
    case .noLength: "no_length"
    case .setCookie: "set_cookie"
    case .status: "status"
    case .generated: "generated"
    case .bypass: "bypass"
    case .mismatch: "mismatch"
    case .truncated: "truncated"
    case .disk: "disk"
    case .memory: "memory"
    case .tooLarge: "too_large"
    case .unchecked: "unchecked"
    }
  }
}

/// An answer's head as its readers need it, from an upstream or from the index.
public struct AnswerHead: Sendable {
  public var status: Int
  /// Bytes of the whole body; nil where only its end will tell.
  public var totalBytes: Int64?
  public var etag: [UInt8]
  public var contentType: [UInt8]
  /// Other fields to repeat to clients, in order.
  public var fields: [Record.Field]
  /// When it was fetched, in seconds since 1970.
  public var created: Int64
  /// The server that gave it, empty from the index.
  public var server: String
  /// Why it is not kept; nil where it is, or may be.
  public var notStored: NotStored?
  /// Whether it is of what was asked for, and says that its path leads through what may not be given.
  public var leadsToDenied = false
  /// Whether only its end will show if it is kept.
  public var isCollected = false
  /// How long its server took to be connected with, and to begin its answer; zero from the index.
  public var connectTime = Interval.zero
  public var firstByteTime = Interval.zero

  public init(
    status: Int, totalBytes: Int64?, etag: [UInt8] = [], contentType: [UInt8] = [],
    fields: [Record.Field] = [], created: Int64, server: String = ""
  ) {
    self.status = status
    self.totalBytes = totalBytes
    self.etag = etag
    self.contentType = contentType
    self.fields = fields
    self.created = created
    self.server = server
  }

  public init(_ record: Record) {
    self.init(
      status: Int(record.status), totalBytes: Int64(record.totalBytes), etag: record.etag,
      contentType: record.contentType, fields: record.fields, created: record.created)
  }

  /// The record that keeps this answer; nil without a length.
  public func record(key: [UInt8], stamp: UInt64, sliceShift: UInt8, isVerified: Bool) -> Record? {
    guard let totalBytes, let total = Int(exactly: totalBytes) else { return nil }
    var record = Record(
      key: key, stamp: stamp, status: UInt16(truncatingIfNeeded: status), totalBytes: total,
      sliceShift: sliceShift, created: created, isVerified: isVerified)
    record.etag = etag
    record.contentType = contentType
    record.fields = fields
    record.server = Array(server.utf8)
    return record
  }
}
