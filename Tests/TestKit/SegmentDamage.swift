import Foundation

/// What befalls the bytes of a cache on its disk.
public enum SegmentDamage: String, Sendable, CaseIterable {
  /// Every bit of every segment is another.
  case everything
  /// One bit of an object.
  case oneBit
  /// A page of an object is zeros, as after a write that never came.
  case zeroedPage
  /// One bit in each of two slices of an object, where it has them.
  case twoSlices

  /// Damages what a cache's folder holds of some contents, which must not be in use yet.
  public func strike(_ contents: [TestContent], in cache: String, sliceSize: Int) throws {
    let folder = cache + "/segments/"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let url = URL(filePath: folder + name)
      var bytes = try Data(contentsOf: url)
      if self == .everything {
        bytes.withUnsafeMutableBytes { raw in
          for place in stride(from: 0, to: raw.count - 7, by: 8) {
            let word = raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            raw.storeBytes(of: ~word, toByteOffset: place, as: UInt64.self)
          }
        }
      }
      for content in contents where self != .everything {
        for place in places(in: content.body.count) {
          let (start, offset) = (place / sliceSize * sliceSize, place % sliceSize)
          let mark = Data(content.body[start..<min(start + 16, content.body.count)])
          guard let slice = bytes.range(of: mark)?.lowerBound else { continue }
          if self == .zeroedPage {
            let end = min(slice + offset + 4096, slice + content.body.count - start)
            bytes.replaceSubrange(
              slice + offset..<end, with: Data(count: end - slice - offset))
          } else {
            bytes[slice + offset] ^= 0x10
          }
        }
      }
      // In its place: a gateway that runs has the file open.
      let file = try FileHandle(forUpdating: url)
      try file.write(contentsOf: bytes)
      try file.close()
    }
  }

  /// Where in an object of so many bytes it is struck.
  private func places(in count: Int) -> [Int] {
    self == .twoSlices ? [count * 3 / 4, count - 1] : [count / 2]
  }
}
