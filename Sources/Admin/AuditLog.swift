internal import Base
internal import System

/// The file that says who changed what and when: a line of JSON for each step, on the disk before it counts.
///
/// Opened for each line, so that it can be moved away at any time; used by threads that may wait.
public struct AuditLog: Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  /// Appends a line, and waits until it is on the disk.
  ///
  /// Throws where it is not; then what it is about must not happen.
  func append(_ line: JSONValue) throws(Fault) {
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      try Folder.create(String(path[..<slash]))
    }
    let isNew = !Folder.exists(path)
    let file = try LogFile(appendingTo: path)
    try file.write((line.text + [0x0a]).rawBytes)
    try file.sync()
    if isNew {
      let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
      try Folder.sync(folder)
    }
  }
}
