import Base
import Foundation
import System
import Testing

/// A folder of its own for one test, removed with it.
final class TemporaryFolder: Sendable {
  let path = FileManager.default.temporaryDirectory.path + "/sluice-test-" + UUID().uuidString

  init() throws(Fault) { try Folder.create(path) }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct FileTests {
  @Test func writesAndReadsBack() throws {
    let folder = try TemporaryFolder()
    let file = try File(path: folder.path + "/a", .createNew)
    try file.allocate(bytes: 8192)
    #expect(try file.size() == 8192)
    let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
    try file.write(at: 100, bytes.rawBytes)
    try file.sync()
    var read = [UInt8](repeating: 0, count: 5000)
    let got = try read.withUnsafeMutableBytes { buffer throws in
      try file.read(at: 100, into: buffer)
    }
    #expect(got == 5000)
    #expect(read == bytes)
    // Just written, so in memory.
    let now = read.withUnsafeMutableBytes { file.readNow(at: 100, into: $0) }
    #expect(now == .bytes(5000))
    let end = read.withUnsafeMutableBytes { file.readNow(at: 8192, into: $0) }
    #expect(end == .bytes(0))
  }

  @Test func faultsCarryTheSystemsNumber() throws {
    let folder = try TemporaryFolder()
    #expect(throws: Fault(.io, .disk, errno: ENOENT)) {
      _ = try File(path: folder.path + "/none", .read)
    }
    _ = try File(path: folder.path + "/a", .createNew)
    #expect(throws: Fault(.io, .disk, errno: EEXIST)) {
      _ = try File(path: folder.path + "/a", .createNew)
    }
    let readOnly = try File(path: folder.path + "/a", .read)
    var failed: Fault?
    do throws(Fault) { try readOnly.write(at: 0, [1].rawBytes) } catch { failed = error }
    #expect(failed == Fault(.io, .disk, errno: EBADF))
    var buffer = [UInt8](repeating: 0, count: 1)
    let negative = buffer.withUnsafeMutableBytes { readOnly.readNow(at: -1, into: $0) }
    #expect(negative == .fault(Fault(.io, .disk, errno: EINVAL)))
  }

  @Test func bringsIntoMemory() throws {
    let folder = try TemporaryFolder()
    let file = try File(path: folder.path + "/a", .createNew)
    try file.write(at: 0, [UInt8](repeating: 7, count: 3 * 4096).rawBytes)
    let reference = FileReference(descriptor: file.descriptor)
    #expect(reference.bringIn(offset: 0, count: 0))
    #expect(!reference.bringIn(offset: -1, count: 1) && !reference.bringIn(offset: 0, count: -1))
    // Beyond the file's last page there is nothing to bring.
    #expect(!reference.bringIn(offset: 4096, count: 4 * 4096))
    if reference.bringIn(offset: 5000, count: 7000) {
      #expect(file.residentPrefix(offset: 5000, count: 7000) == 7000)
    }
    try file.keepMapped()
  }

  @Test func letsGoOfMemory() throws {
    let folder = try TemporaryFolder()
    let file = try File(path: folder.path + "/a", .createNew)
    try file.write(at: 0, [UInt8](repeating: 7, count: 4 * 4096).rawBytes)
    try file.sync()
    let reference = file.reference
    reference.readAtRandom()
    reference.letGo(offset: -1, count: 4096)
    reference.letGo(offset: 0, count: -1)
    reference.willNeed(offset: -1, count: 4096)
    // A hint, which file systems in memory do not follow: but never a byte less.
    reference.letGo(offset: 0, count: 4 * 4096)
    reference.willNeed(offset: 4096, count: 4096)
    var bytes = [UInt8](repeating: 0, count: 4 * 4096)
    let got = try bytes.withUnsafeMutableBytes { room throws(Fault) in
      try reference.read(at: 0, into: room)
    }
    #expect(got == 4 * 4096 && bytes.allSatisfy { $0 == 7 })
  }

  @Test func knowsWhatIsInMemory() throws {
    let folder = try TemporaryFolder()
    let file = try File(path: folder.path + "/a", .createNew)
    try file.write(at: 0, [UInt8](repeating: 7, count: 3 * 4096).rawBytes)
    #expect(file.isResident(offset: 0, count: 3 * 4096) != false)
    #expect(file.residentPrefix(offset: 0, count: 3 * 4096) == 3 * 4096)
    #expect(file.residentPrefix(offset: 10, count: 100) == 100)
    #expect(file.residentPrefix(offset: 0, count: 0) == 0)
    // Beyond the file's end nothing is in memory.
    #expect(file.residentPrefix(offset: 0, count: 8 * 4096) == 3 * 4096)
  }

  @Test func aReleasedDescriptorStaysOpen() throws {
    let folder = try TemporaryFolder()
    let descriptor = try File(path: folder.path + "/a", .create).release()
    #expect(fcntl(descriptor, F_GETFD) >= 0)
    do { _ = File(owning: descriptor) }
    #expect(fcntl(descriptor, F_GETFD) == -1)
  }
}

@Suite struct FolderTests {
  @Test func makesListsAndRemoves() throws {
    let folder = try TemporaryFolder()
    let deep = folder.path + "/x/y/z"
    try Folder.create(deep)
    try Folder.create(deep)
    _ = try File(path: deep + "/a", .create)
    _ = try File(path: deep + "/b", .create)
    #expect(Set(try Folder.names(in: deep)) == ["a", "b"])
    try Folder.rename(deep + "/a", to: deep + "/c")
    try Folder.remove(file: deep + "/b")
    try Folder.remove(file: deep + "/b")
    try Folder.sync(deep)
    #expect(try Folder.names(in: deep) == ["c"])
    #expect(Folder.exists(deep + "/c") && !Folder.exists(deep + "/a"))
    let space = try Folder.space(at: deep)
    #expect(space.free > 0 && space.total >= space.free)
  }

  @Test func removesAllThatIsInsideAndNothingElse() throws {
    let folder = try TemporaryFolder()
    let (top, kept) = (folder.path + "/top", folder.path + "/kept")
    try Folder.create(top + "/x/y")
    try Folder.create(kept)
    _ = try File(path: top + "/x/y/a", .create)
    _ = try File(path: kept + "/b", .create)
    try FileManager.default.createSymbolicLink(
      atPath: top + "/x/link", withDestinationPath: kept)
    try Folder.removeAll(top)
    try Folder.removeAll(top)
    #expect(!Folder.exists(top) && Folder.exists(kept + "/b"))
    try Folder.removeAll(kept + "/b")
    #expect(try Folder.names(in: kept) == [])
  }

  @Test func aFileIsNoFolder() throws {
    let folder = try TemporaryFolder()
    _ = try File(path: folder.path + "/a", .create)
    #expect(throws: Fault(.io, .disk, errno: ENOTDIR)) { try Folder.create(folder.path + "/a") }
    #expect(throws: Fault(.io, .disk, errno: ENOTDIR)) {
      try Folder.create(folder.path + "/a/b")
    }
    #expect(throws: Fault.self) { _ = try Folder.names(in: folder.path + "/none") }
  }
}
