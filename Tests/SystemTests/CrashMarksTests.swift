import Base
import Foundation
import Testing

@testable import System

/// What they do at a death is tested with the whole program.
@Suite struct CrashMarksTests {
  @Test func countsTheBytesOfAFile() throws {
    let path = FileManager.default.temporaryDirectory.path + "/marks-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(CrashMarks.count(at: path) == 0)
    try Data([120, 120]).write(to: URL(filePath: path))
    #expect(CrashMarks.count(at: path) == 2)
  }

  @Test func aPathThatIsTooLongIsRefused() {
    let path = "/" + String(repeating: "a", count: 5000)
    #expect(throws: Fault(.io, .disk, errno: ENAMETOOLONG)) {
      try CrashMarks.leave(at: path, for: .seconds(1))
    }
    #expect(CrashMarks.count(at: path) == 0)
  }
}
