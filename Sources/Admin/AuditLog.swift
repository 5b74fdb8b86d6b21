internal import Base
internal import Synchronization
internal import System

/// The file that says who changed what and when: a line of JSON for each step, on the disk before it counts.
///
/// Opened for each line, so that it can be moved away at any time; used by threads that may wait.
public struct AuditLog: Sendable {
  public let path: String
  private let turn = Turn()

  /// One line at a time: what takes back half a line must not take another's with it.
  private final class Turn: Sendable {
    let mutex = Mutex<Void>(())
  }

  public init(path: String) { self.path = path }

  /// Appends a line, and waits until it is on the disk.
  ///
  /// Throws where it is not; then what it is about must not happen, and nothing is left of the line.
  func append(_ line: JSONValue) throws(Fault) {
    try turn.mutex.withLock { _ throws(Fault) in try write(line) }
  }

  private func write(_ line: JSONValue) throws(Fault) {
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      try Folder.create(String(path[..<slash]))
    }
    let isNew = !Folder.exists(path)
    let file = File(owning: try LogFile(appendingTo: path).release())
    let end = try file.size()
    do throws(Fault) {
      // The file is open for appending: that is where its bytes go, whatever the offset.
      try file.write(at: end, (line.text + [0x0a]).rawBytes)
      try file.sync()
    } catch {
      // Half a line would spoil the next one. Not all that is appended to can be cut, such as a device.
      try? file.truncate(bytes: end)
      throw error
    }
    if isNew {
      let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
      try Folder.sync(folder)
    }
  }
}
