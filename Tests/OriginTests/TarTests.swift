import Base
import Foundation
import IPFS
import Testing

@testable import Origin

struct TarTests {
  let site: Site

  init() throws { site = try Site() }

  /// What `tar` makes of an archive: its listing, and the files' bytes.
  private func unpacked(_ archive: [UInt8]) throws -> (names: [String], folder: URL) {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tar-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let file = folder.appending(path: "a.tar")
    try Data(archive).write(to: file)
    let tar = Process()
    tar.executableURL = URL(filePath: "/bin/tar")
    tar.arguments = ["-xf", file.path, "-C", folder.path]
    try tar.run()
    tar.waitUntilExit()
    #expect(tar.terminationStatus == 0)
    try FileManager.default.removeItem(at: file)
    return (try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted(), folder)
  }

  @Test func treeIsUnpackedByTar() throws {
    let root = site.root.cid
    let answer = site.get("/ipfs/\(root)?format=tar")
    #expect(answer.status == 200)
    #expect(answer.value(.contentType) == "application/x-tar")
    #expect(answer.value(.etag) == "W/\"\(root).x-tar\"")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    #expect(answer.value(.xContentTypeOptions) == "nosniff")
    #expect(answer.value(.xIpfsRoots) == "\(root)")
    #expect(
      answer.value(.contentDisposition)?.hasPrefix("attachment; filename=\"\(root).tar\"") == true)
    #expect(answer.bodyCount == nil)
    let archive = try answer.bytes()
    #expect(archive.count % 512 == 0)
    let (names, folder) = try unpacked(archive)
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(names.contains("\(root)/a b/x"))
    let long = try Data(contentsOf: folder.appending(path: "\(root)/long.bin"))
    #expect(Array(long) == site.longBytes)
    #expect(site.get("/ipfs/\(root)?format=tar", [.ifNoneMatch: "\"\(root).x-tar\""]).status == 304)
  }

  @Test func longAndForeignNamesArePax() throws {
    var builder = UnixFSBuilder()
    let long = String(repeating: "ß", count: 120) + ".txt"
    let file = try builder.addFile([1, 2, 3])
    let folder = try builder.addDirectory([long: file, "ą": builder.addDirectory(["x": file])])
    let rules = OriginRules(try CARStore(car: builder.car(roots: [folder.cid])))
    let (names, place) = try unpacked(rules.get("/ipfs/\(folder.cid)?format=tar").bytes())
    defer { try? FileManager.default.removeItem(at: place) }
    #expect(names.contains("\(folder.cid)/\(long)"))
    #expect(names.contains("\(folder.cid)/ą/x"))
  }

  @Test func oneFileIsAnArchiveToo() throws {
    let cid = site.hello.cid
    let answer = site.get("/ipfs/\(site.root.cid)/hello.txt", [.accept: "application/x-tar"])
    #expect(answer.value(.contentLocation) == "/ipfs/\(site.root.cid)/hello.txt?format=tar")
    let archive = try answer.bytes()
    #expect(archive.count == 4 * 512)
    #expect(archive.starts(with: "\(cid)".utf8))
  }

  @Test func namesThatLeadOutsideEndTheArchive() throws {
    var builder = UnixFSBuilder()
    let file = try builder.addFile([1])
    let inside = try builder.addDirectory(["foo/../bar": file])
    let outside = try builder.addDirectory(["../../bar": file])
    let rules = OriginRules(
      try CARStore(car: builder.car(roots: [inside.cid, outside.cid])))
    let archive = try rules.get("/ipfs/\(outside.cid)?format=tar").text()
    #expect(archive.contains("relative UnixFS paths outside the root are now allowed"))
    let (names, place) = try unpacked(rules.get("/ipfs/\(inside.cid)?format=tar").bytes())
    defer { try? FileManager.default.removeItem(at: place) }
    #expect(names.contains("\(inside.cid)/bar"))
  }

  @Test func missingBlockIsToldInTheStream() throws {
    var builder = UnixFSBuilder()
    let file = try builder.addFile([1])
    let folder = try builder.addDirectory(["a": file])
    var output = ByteBuffer(capacity: 1024)
    CARWriter.appendHeader(roots: [folder.cid], to: &output)
    for (cid, bytes) in builder.blocks where cid == folder.cid {
      CARWriter.appendBlock(cid, bytes.rawBytes, to: &output)
    }
    let rules = OriginRules(try CARStore(car: output.readable.array))
    let archive = try rules.get("/ipfs/\(folder.cid)?format=tar").text()
    #expect(archive.contains("in none of this origin's CAR files"))
    #expect(rules.get("/ipfs/\(file.cid)?format=tar").status == 404)
  }

  @Test(arguments: [
    ("a", "b", "a/b"), ("a", "../b", "b"), ("a", "../../b", "../b"), ("a/b", "./c//d", "a/b/c/d"),
  ])
  func pathsAreCleaned(path: String, name: String, joined: String) {
    let clean = TarWalk.join(Array(path.utf8), Array(name.utf8))
    #expect(String(decoding: clean, as: UTF8.self) == joined)
  }
}
