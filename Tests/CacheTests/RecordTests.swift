import Base
import Testing

@testable import Cache

@Suite struct RecordTests {
  static func random(_ random: inout SeededRandom) -> Record {
    let shift = UInt8(random.number(in: 16...24))
    let slices = random.chance(0.5) ? random.number(in: 0...16) : random.number(in: 0...200)
    let cut = random.number(in: 0...(1 << Int(shift)) - 1)
    var record = Record(
      key: randomBytes(random.number(in: 0...300), &random), stamp: random.next(),
      status: UInt16(truncatingIfNeeded: random.next()),
      totalBytes: max(0, slices << Int(shift) - cut), sliceShift: shift,
      created: Int64(truncatingIfNeeded: random.next()), isVerified: random.chance(0.5))
    record.etag = randomBytes(random.number(in: 0...80), &random)
    record.contentType = randomBytes(random.number(in: 0...40), &random)
    record.fields = (0..<random.number(in: 0...5)).map { _ in
      Record.Field(
        name: randomBytes(random.number(in: 0...20), &random),
        value: randomBytes(random.number(in: 0...200), &random))
    }
    record.server = randomBytes(random.chance(0.5) ? 0 : random.number(in: 1...40), &random)
    for index in record.slices.indices where random.chance(0.7) {
      record.slices[index] = Slice(
        segment: UInt32(truncatingIfNeeded: random.next()),
        offset: UInt32(truncatingIfNeeded: random.next()), checksum: random.next())
    }
    return record
  }

  @Test func readsBackWhatWasCoded() throws {
    var random = SeededRandom(seed: 1)
    for _ in 0..<500 {
      let record = Self.random(&random)
      let bytes = try #require(record.encoded())
      #expect(bytes.record == record)
      let view = try #require(bytes.view)
      #expect(Array(bytes[view.key.range]) == record.key)
      #expect(view.sliceCount == record.sliceCount)
      let total = (0..<min(view.sliceCount, 300)).reduce(0) { $0 + view.bytes(ofSlice: $1) }
      #expect(total == record.totalBytes)
    }
  }

  @Test func garbageIsNilOrARecordAndNeverATrap() throws {
    var random = SeededRandom(seed: 2)
    var refused = 0
    var unsealed = 0
    for _ in 0..<4000 {
      var bytes = try #require(Self.random(&random).encoded())
      if random.chance(0.3) { bytes.removeLast(random.number(in: 0...bytes.count)) }
      for _ in 0..<random.number(in: 0...6) where !bytes.isEmpty {
        let head = random.chance(0.7) ? min(48, bytes.count) : bytes.count
        bytes[random.number(in: 0...head - 1)] = UInt8(truncatingIfNeeded: random.next())
      }
      // As a record of ours that is wrong: what was not sealed gets no further.
      if bytes.count >= Record.headBytes, random.chance(0.8) {
        Seal.put(in: &bytes, at: Record.sealOffset)
      } else {
        unsealed += 1
      }
      guard let view = RecordView(bytes.rawBytes) else {
        refused += 1
        continue
      }
      // Whatever it claims, its parts can be asked for.
      #expect(view.key.end <= bytes.count && view.contentType.end <= bytes.count)
      for index in [-1, 0, 15, 16, Int.max] {
        _ = view.slice(index, in: bytes.rawBytes)
        _ = view.bytes(ofSlice: index)
      }
      view.forEachField(in: bytes.rawBytes) { name, value in
        #expect(name.end <= value.end && value.end <= bytes.count)
      }
      #expect(bytes.record?.encoded() == bytes)
    }
    #expect(refused > 1000 && unsealed > 500)
  }

  @Test func everyFlippedBitIsNoticed() throws {
    var random = SeededRandom(seed: 5)
    for _ in 0..<40 {
      var bytes = try #require(Self.random(&random).encoded())
      for place in 0..<bytes.count * 8 {
        bytes[place / 8] ^= 1 << UInt8(place % 8)
        if bytes.view != nil || bytes.record != nil { Issue.record("bit \(place)") }
        bytes[place / 8] ^= 1 << UInt8(place % 8)
      }
      #expect(bytes.view != nil)
    }
    var block = SliceBlock(stamp: random.next())
    for place in block.slices.indices where random.chance(0.5) {
      block.slices[place] = Slice(segment: 9, offset: UInt32(place), checksum: random.next())
    }
    var bytes = block.encoded(number: 70_000)
    for place in 0..<bytes.count * 8 {
      bytes[place / 8] ^= 1 << UInt8(place % 8)
      if bytes.block(70_000) != nil { Issue.record("bit \(place)") }
      bytes[place / 8] ^= 1 << UInt8(place % 8)
    }
    #expect(bytes.block(70_000) == block)
    for bit in 0..<32 { #expect(bytes.block(70_000 ^ 1 << UInt32(bit)) == nil) }
  }

  @Test func anotherVersionIsNoRecord() throws {
    var random = SeededRandom(seed: 3)
    var bytes = try #require(Self.random(&random).encoded())
    bytes[0] = 2
    Seal.put(in: &bytes, at: Record.sealOffset)
    #expect(bytes.view == nil)
  }

  @Test func whatIsTooLongIsNotCoded() {
    var record = Record(
      key: [1], stamp: 1, status: 200, totalBytes: 1, sliceShift: 20, created: 0)
    record.fields = [Record.Field(name: [1], value: Array(repeating: 2, count: 70_000))]
    #expect(record.encoded() == nil)
  }

  @Test func blocksReadBackAndBelongToTheirStamp() {
    var random = SeededRandom(seed: 4)
    var block = SliceBlock(stamp: 77)
    block.slices[63] = Slice(segment: 5, offset: 4096, checksum: 9)
    let bytes = block.encoded(number: 3)
    #expect(bytes.block(3) == block)
    #expect(bytes.slice(63, stamp: 77) == block.slices[63])
    #expect(bytes.slice(63, stamp: 78) == .absent)
    #expect(bytes.slice(64, stamp: 77) == .absent)
    for _ in 0..<1000 {
      let garbage = randomBytes(random.number(in: 0...1100), &random)
      #expect(garbage.block(3) == nil)
    }
  }
}
