import ArgumentParser
import Base
import Configuration
import Origin
import System

/// What the commands have in common.
enum Program {
  static func signals() throws -> Signals {
    do throws(Fault) {
      return try Signals()
    } catch {
      throw ValidationError("no signals can be received: \(SystemError.text(error.errno))")
    }
  }

  /// Ends the command with a sentence on the standard error and status 1.
  static func fail(_ sentence: String) -> any Error {
    Failure(sentence: sentence)
  }

  /// An address from its text, `127.0.0.1:8081` or `[::1]:8081`.
  static func address(_ text: String) throws -> SocketAddress {
    guard let place = HostPort(text) else {
      throw ValidationError("\(text) is not an address; write 127.0.0.1:8081 or [::1]:8081")
    }
    return try Service.socketAddress(place)
  }

  /// Makes and starts an origin, or throws with a sentence.
  static func origin(
    _ make: () throws(OriginServer.StartError) -> OriginServer
  ) throws -> OriginServer {
    let origin: OriginServer
    do throws(OriginServer.StartError) {
      origin = try make()
    } catch {
      throw fail("origin: \(error.sentence)")
    }
    do throws(Fault) {
      try origin.start()
    } catch {
      throw fail("origin: cannot start: \(SystemError.text(error.errno))")
    }
    return origin
  }

  /// Writes a line to the standard output at once, also where that is a pipe.
  static func say(_ line: String) {
    do throws(Fault) {
      let stream = try LogFile.standardOutput()
      try stream.write(Array("\(line)\n".utf8).rawBytes)
    } catch {}
  }

  /// Writes a line to the standard error; lost where that is closed.
  static func tell(_ line: String) {
    do throws(Fault) {
      let stream = try LogFile.standardError()
      try stream.write(Array("\(line)\n".utf8).rawBytes)
    } catch {}
  }

  /// A size as sentences have it, `1.5 GiB`.
  static func gibibytes(_ bytes: Int) -> String {
    let tenths = (bytes + (1 << 30) / 20) / ((1 << 30) / 10)
    return "\(tenths / 10).\(tenths % 10) GiB"
  }

  private struct Failure: Error, CustomStringConvertible {
    let sentence: String
    var description: String { sentence }
  }
}
