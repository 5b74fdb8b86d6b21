import Base
import System
import Testing

@testable import Cache

@Suite struct DirectTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func whatGoesPastThePageCacheIsWhatWasWritten() throws {
    let size = DiskWriter.directBytes
    let disk = try DiskStorage(
      folder.options(segments: 4, sliceSize: size), wallSeconds: wall)
    var random = SeededRandom(seed: 31)
    // A last slice of whole pages; one with an odd end; the shortest that goes past it.
    for (text, last) in [("whole", size), ("odd", size - 4097), ("short", 5000)] {
      let body = randomBytes(2 * size + last, &random)
      let record = disk.newRecord(text, body.count)
      let key = disk.text(text)
      #expect(disk.submit(.put(key: key, record: record, nil)))
      for (index, start) in stride(from: 0, to: body.count, by: size).enumerated() {
        let buffer = SliceBuffer(Array(body[start..<min(start + size, body.count)]))
        #expect(
          disk.submit(
            .slice(key: key, stamp: record.stamp, index: index, buffer, nil)))
      }
      disk.settle()
      let slices = try #require(try disk.record(key)).slices
      #expect(slices.count == 3)
      for (index, slice) in slices.enumerated() {
        let part = Array(body[(index * size)..<min((index + 1) * size, body.count)])
        #expect(try disk.bytes(of: slice, part.count) == part)
      }
    }
  }

  @Test func writesWholePagesAndLeavesTheRest() throws {
    let path = folder.path + "/file"
    let file = try File(path: path, .createNew)
    try file.allocate(bytes: 1 << 20)
    // A file system without such writes has nothing to show here.
    guard let direct = DirectFile(path: path) else { return }
    var random = SeededRandom(seed: 32)
    let bytes = randomBytes((256 << 10) + 4095, &random)
    let buffer = SliceBuffer(bytes)
    #expect(try direct.write(at: 8192, buffer.bytes) == 256 << 10)
    var read = [UInt8](repeating: 1, count: bytes.count)
    _ = try read.withUnsafeMutableBytes { into throws in try file.read(at: 8192, into: into) }
    #expect(read[..<(256 << 10)] == bytes[..<(256 << 10)])
    #expect(read[(256 << 10)...].allSatisfy { $0 == 0 })
    // What is not whole pages is refused, and is no fault.
    #expect(try direct.write(at: 100, buffer.bytes) == nil)
  }

  @Test func onlyLargeSlicesThatAreNotTheFirst() {
    let limit = DiskWriter.directBytes
    #expect(DiskWriter.isDirect(index: 1, count: limit))
    #expect(!DiskWriter.isDirect(index: 0, count: 64 << 20))
    #expect(!DiskWriter.isDirect(index: 1, count: limit - 1))
  }
}
