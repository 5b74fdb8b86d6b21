internal import Base
internal import System

/// The room in the frame that is being made, for one stream's bytes.
///
/// It lies in the connection's output, and is used only until the session's `fill` returns.
@safe
struct FrameRoom {
  let place: Int
  private let room: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  init(place: Int, _ room: UnsafeMutableRawBufferPointer) {
    self.place = place
    unsafe self.room = room
  }

  var isFull: Bool { unsafe count == room.count }

  /// Takes the front of some bytes, as far as there is room; how many.
  mutating func put(_ bytes: RawSpan) -> Int {
    let taken = unsafe min(bytes.byteCount, room.count - count)
    let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[count...])
    unsafe bytes.extracting(0..<taken).withUnsafeBytes { unsafe rest.copyMemory(from: $0) }
    count += taken
    return taken
  }

  /// The same from a file's range; nil where the file ends before it.
  ///
  /// The bytes have just been found in memory: like `sendfile`, it hardly ever waits for the disk.
  mutating func put(_ file: FileReference, at offset: Int64, _ wanted: Int) -> Int? {
    let taken = unsafe min(wanted, room.count - count)
    let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[count..<count + taken])
    do throws(Fault) {
      let read = unsafe try file.read(at: Int(offset), into: rest)
      count += read
      return read == 0 && taken > 0 ? nil : read
    } catch {
      return nil
    }
  }
}

/// What a stream offers by itself, while the session is at rest.
///
/// Used only until the stream's `offer` returns.
@safe
struct StreamOffer {
  @safe
  private enum Source {
    case bytes(UnsafeRawPointer)
    case file(FileReference, Int64)
  }

  let place: Int
  let count: Int
  private(set) var taken = 0
  /// The file has ended before what was promised of it.
  private(set) var sourceEnded = false
  private let source: Source

  init(place: Int, _ bytes: UnsafeRawBufferPointer) {
    self.place = place
    count = bytes.count
    // Nothing is read of none.
    unsafe source = bytes.baseAddress.map(Source.bytes) ?? .file(FileReference(descriptor: -1), 0)
  }

  init(place: Int, _ file: FileReference, at offset: Int64, _ count: Int) {
    self.place = place
    self.count = count
    source = .file(file, offset)
  }

  var isOver: Bool { taken == count || sourceEnded }

  /// Moves as much as there is room for.
  mutating func move(to room: inout FrameRoom) {
    switch source {
    case .bytes(let base):
      let rest = unsafe RawSpan(_unsafeStart: base + taken, byteCount: count - taken)
      taken += room.put(rest)
    case .file(let file, let offset):
      if let read = room.put(file, at: offset + Int64(taken), count - taken) {
        taken += read
      } else {
        sourceEnded = true
      }
    }
  }
}
