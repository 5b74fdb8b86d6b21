import ArgumentParser
import Base
import Configuration
import System

/// Reads a settings file.
enum SettingsLoader {
  /// Settings files are small; anything larger is something else.
  private static let maximumBytes = 1 << 20

  /// Throws `ExitCode` after it has said on the standard error what is wrong.
  static func load(_ path: String) throws -> Settings {
    let text = try read(path)
    do throws(Complaints) {
      return try Settings.read(text, file: path)
    } catch {
      throw Program.fail("\(error)")
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
