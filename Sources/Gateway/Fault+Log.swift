internal import Base
internal import Logging
internal import System

extension Fault {
  /// What a line of the log says of it: its name, and the system's words where there are any.
  var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = ["fault": .string(name)]
    if errno != 0 { metadata["error"] = .string(SystemError.text(errno)) }
    return metadata
  }
}
