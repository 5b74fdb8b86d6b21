import Base
import System
import Testing

@testable import Cache

@Suite struct SliceTests {
  @Test func aChecksumInPiecesIsThatOfTheWhole() throws {
    var random = SeededRandom(seed: 3)
    for count in [0, 1, 3, 16, 240, 241, 1024, 5000, 100_000] {
      let bytes = randomBytes(count, &random)
      for _ in 0..<5 {
        var sum = try SliceChecksum()
        var start = 0
        while start < count {
          let end = min(count, start + random.number(in: 1...max(1, count / 2)))
          sum.update(bytes.rawBytes.extracting(start..<end))
          start = end
        }
        let value = sum.value
        #expect(value == bytes.checksum)
      }
    }
  }

  /// What a check says of a slice as it was written, changed, cut short or gone.
  @Test func onlyWhatWasWrittenIsMarked() throws {
    let folder = try TemporaryFolder()
    let disk = try DiskStorage(folder.options(segments: 4, sliceSize: 4 << 20), wallSeconds: wall)
    let storage = disk
    var random = SeededRandom(seed: 4)
    let sizes = [16 << 10, 512 << 10, (512 << 10) + 1, 3 << 20]
    for (number, size) in sizes.enumerated() {
      let name = "slice \(number)"
      let record = storage.newRecord(name, size)
      #expect(storage.submit(.put(key: storage.text(name), record: record, nil)))
      let bytes = randomBytes(size, &random)
      #expect(
        storage.submit(
          .slice(
            key: storage.text(name), stamp: record.stamp, index: 0, SliceBuffer(bytes), nil)))
      disk.settle()
      let slice = try #require(try disk.record(storage.text(name))?.slices[0])
      let pin = try #require(try storage.pin(slice.segment))
      defer { storage.unpin(pin) }
      let file = FileReference(descriptor: pin.descriptor)
      #expect(!storage.isVerified(slice, pin))
      let place = random.number(in: 0...size - 1)
      try file.write(at: Int(slice.offset) + place, [bytes[place] ^ 1].rawBytes)
      #expect(throws: Fault(.corrupt, .disk)) { try storage.verify(slice, pin, count: size) }
      #expect(!storage.isVerified(slice, pin))
      try file.write(at: Int(slice.offset) + place, [bytes[place]].rawBytes)
      #expect(throws: Fault(.corrupt, .disk)) { try storage.verify(slice, pin, count: size - 1) }
      #expect(!storage.isVerified(slice, pin))
      try storage.verify(slice, pin, count: size)
      #expect(storage.isVerified(slice, pin))
      #expect(!disk.segments.wasHit(slice.segment, at: Int(slice.offset)))
      storage.noteHit(slice, pin)
      #expect(disk.segments.wasHit(slice.segment, at: Int(slice.offset)))
    }
    let last = try #require(try disk.record(storage.text("slice 3"))?.slices[0])
    let beyond = Slice(segment: last.segment, offset: 4 << 20, checksum: last.checksum)
    let pin = try #require(try storage.pin(last.segment))
    #expect(throws: Fault(.corrupt, .disk)) { try storage.verify(beyond, pin, count: 3 << 20) }
    storage.unpin(pin)
    disk.stop()
  }

  @Test func smallerThanSixteenKiBIsPacked() {
    #expect(DiskStorage.isPacked((16 << 10) - 1) && !DiskStorage.isPacked(16 << 10))
  }
}
