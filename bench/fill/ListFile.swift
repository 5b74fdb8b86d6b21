import Base
import System

/// A text file written line by line, a buffer at a time.
final class ListFile {
  private let file: LogFile
  private var buffer = ByteBuffer(capacity: 1 << 17)

  init(_ path: String) throws(Fault) {
    if Folder.exists(path) { try Folder.remove(file: path) }
    file = try LogFile(appendingTo: path)
  }

  func add(_ line: [UInt8]) throws(Fault) {
    buffer.append(line)
    buffer.append(UInt8(ascii: "\n"))
    if buffer.count >= 1 << 16 { try flush() }
  }

  func flush() throws(Fault) {
    try buffer.withReadable { bytes throws(Fault) in try file.write(bytes) }
    buffer.clear()
  }
}
