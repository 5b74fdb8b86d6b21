import ArgumentParser
import Base
import Configuration
import System

/// Reads a settings file.
enum SettingsLoader {
  /// Settings files are small; anything larger is something else.
  private static let maximumBytes = 1 << 20

  /// Throws `ExitCode` after it has said on the standard error what is wrong.
  static func load(_ path: String) throws -> Settings { try file(path).settings }

  /// The same, with where everything stands.
  ///
  /// Each complaint is a line that begins with file, line and column, as editors read it.
  static func file(_ path: String) throws -> SettingsFile {
    let text = try read(path)
    do throws(Complaints) {
      return try SettingsFile(text, name: path)
    } catch {
      for complaint in error.list { Program.tell("\(complaint)") }
      throw ExitCode.failure
    }
  }

  private static func read(_ path: String) throws -> String {
    var bytes = ByteBuffer(capacity: 16 * 1024)
    do throws(Fault) {
      let file = try File(path: path, .read)
      while bytes.count < maximumBytes {
        let offset = bytes.count
        let got = try unsafe bytes.fill(atLeast: 4096) { room throws(Fault) in
          try unsafe file.read(at: offset, into: room)
        }
        if got == 0 { break }
      }
    } catch {
      throw Program.fail("\(path): \(SystemError.text(error.errno))")
    }
    guard bytes.count < maximumBytes else { throw Program.fail("\(path): not a settings file") }
    return bytes.readable.text
  }
}
