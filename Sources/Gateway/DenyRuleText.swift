internal import Admission
internal import Base
internal import HTTP
internal import System

/// Finds a line of a denylist again, to tell the log what it says.
enum DenyRuleText {
  /// Longer texts are cut.
  private static let longest = 512
  private static let pieceBytes = 64 << 10

  /// The text of a line, read from the beginning of another one before it; nil where it cannot be.
  ///
  /// Waits for the disk.
  static func read(
    _ path: String, line wanted: Int, from place: (line: Int, offset: Int)
  ) -> String? {
    var (line, offset) = place
    var bytes = ByteBuffer(capacity: pieceBytes)
    do throws(Fault) {
      let file = try File(path: path, .read)
      while bytes.count <= DenylistText.maximumLine {
        let from = offset
        let got = try unsafe bytes.fill(atLeast: pieceBytes) { room throws(Fault) in
          try unsafe file.read(at: from, into: room)
        }
        offset += got
        var start = 0
        while let end = lineEnd(bytes.readable, from: start, isLast: got == 0) {
          if line == wanted {
            let text = bytes.readable.extracting(start..<min(end, start + longest)).text
            return text.hasSuffix("\r") ? String(text.dropLast()) : text
          }
          line += 1
          start = end + 1
        }
        if got == 0 { return nil }
        bytes.consume(start)
      }
      return nil
    } catch {
      return nil
    }
  }

  /// Where the line ends that begins at an offset; nil where its end has still to be read.
  private static func lineEnd(_ bytes: RawSpan, from start: Int, isLast: Bool) -> Int? {
    guard start < bytes.byteCount else { return nil }
    let end = bytes.first(UInt8(ascii: "\n"), from: start, to: bytes.byteCount)
    return end < bytes.byteCount || isLast ? end : nil
  }
}
