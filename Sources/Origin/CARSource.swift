internal import Base
internal import System

/// Where a CAR's bytes are: in a file that stays open, or in memory.
final class CARSource: Sendable {
  /// The file's path, for messages.
  let name: String
  private let file: FileReference?
  /// Keeps the descriptor open; nil for bytes in memory.
  private let owner: File?
  private let memory: [UInt8]

  init(path: String) throws(Fault) {
    let opened = try File(path: path, .read)
    name = path
    memory = []
    file = opened.reference
    owner = consume opened
  }

  init(name: String, bytes: [UInt8]) {
    self.name = name
    memory = bytes
    file = nil
    owner = nil
  }

  /// Reads into a buffer from an offset on; how many bytes there were, fewer only at the end.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) -> Int {
    if let file { return unsafe try file.read(at: offset, into: buffer) }
    guard offset >= 0, offset <= memory.count else { return 0 }
    let count = min(buffer.count, memory.count - offset)
    unsafe memory.withUnsafeBytes { bytes in
      let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
      unsafe buffer.copyMemory(from: part)
    }
    return count
  }

  /// The first bytes, fewer where there are no more.
  func start(count: Int) throws(Fault) -> [UInt8] {
    var outcome: Result<Int, Fault> = .success(0)
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { room, filled in
      do throws(Fault) {
        filled = try unsafe read(at: 0, into: UnsafeMutableRawBufferPointer(room))
      } catch {
        outcome = .failure(error)
      }
    }
    _ = try outcome.get()
    return bytes
  }

  /// The bytes of a range; a fault where the file has become shorter than that.
  func bytes(at offset: Int, count: Int) throws(Fault) -> [UInt8] {
    var outcome: Result<Int, Fault> = .success(0)
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { room, filled in
      do throws(Fault) {
        filled = try unsafe read(at: offset, into: UnsafeMutableRawBufferPointer(room))
        outcome = .success(filled)
      } catch {
        outcome = .failure(error)
      }
    }
    guard try outcome.get() == count else { throw Fault(.corrupt, .disk) }
    return bytes
  }
}
