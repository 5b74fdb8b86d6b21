import Base
import System

/// The second descriptor of the open segment, whose writes go past the page cache.
final class DirectFile {
  private let file: File

  /// Nil where the file system knows no such writes.
  init?(path: String) {
    guard let file = try? File(path: path, .direct) else { return nil }
    self.file = file
  }

  /// Writes the whole pages at the bytes' start, and says how many bytes that is.
  ///
  /// Nil where the file system refuses the writes after all: then nothing counts as written.
  func write(at offset: Int, _ bytes: RawSpan) throws(Fault) -> Int? {
    let count = bytes.byteCount & ~(SegmentLayout.page - 1)
    do throws(Fault) {
      try file.write(at: offset, bytes.extracting(0..<count))
      return count
    } catch {
      // EINVAL and EOPNOTSUPP.
      if error.errno == SystemError.invalid || error.errno == SystemError.notSupported {
        return nil
      }
      throw error
    }
  }
}

extension DiskWriter {
  /// Whether a slice's bytes go past the page cache.
  ///
  /// There they cost a copy, the pages they drive out, and both once more when they are written back
  /// and evicted: several times what the disk's own transfer costs. Nobody misses them if they are
  /// asked for in a while only. An object's first slice is likely to be asked for again at once,
  /// and small writes gain nothing.
  static func isDirect(index: Int, count: Int) -> Bool { index > 0 && count >= directBytes }

  static let directBytes = 256 << 10

  /// Writes bytes into the open segment past the page cache, as far as they are whole pages and the file
  /// system lets it; the rest as usual.
  ///
  /// A page is never written both ways: a body of this size starts on one and has its pages for itself,
  /// and no reader is told of them before.
  func writeDirect(
    _ bytes: RawSpan, to file: FileReference, at offset: Int
  ) throws(Fault) {
    var done = 0
    if let direct = directFile() {
      if let written = try direct.write(at: offset, bytes) {
        done = written
      } else {
        open?.direct = .refused
      }
    }
    if done < bytes.byteCount {
      try file.write(at: offset + done, bytes.extracting(done..<bytes.byteCount))
    }
  }

  private func directFile() -> DirectFile? {
    guard let segment = open else { return nil }
    switch segment.direct {
    case .open(let file): return file
    case .refused: return nil
    case .untried:
      let file = DirectFile(path: table.path(segment.layout.number))
      open?.direct = file.map(OpenSegment.Direct.open) ?? .refused
      return file
    }
  }
}
