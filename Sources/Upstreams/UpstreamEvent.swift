internal import Base
internal import Synchronization
internal import System

/// What happens to servers, for the log.
public enum UpstreamEvent: Equatable, Sendable {
  /// Why a server is down.
  public enum Cause: String, Sendable { case failures, probes }

  /// A server, by its name, is asked only where nobody else is left, and what failed last.
  case down(server: String, Cause, last: String)
  /// It takes its part again.
  case up(server: String)
  /// An operator has drained a server, or has it take part again.
  case drained(server: String)
  case undrained(server: String)
  /// A region's servers are others than before, since a name has other addresses.
  case changed(region: String, servers: [String])
  /// A server's certificate is not what it should be, or it does not speak TLS as it should; nothing was sent
  /// to it.
  case untrusted(server: String, why: String)
  /// A name has no address now: what it had stays.
  case unresolved(name: String, why: String)

  /// What a failure of a server was, for people.
  static func words(for fault: Fault) -> String {
    if fault.errno != 0 { return SystemError.text(fault.errno) }
    return switch fault.kind {
    case .connect: "no connection could be made"
    case .closed: "it broke off"
    case .reset: "it reset the connection"
    case .timeout: "it did not answer in time"
    case .malformed: "what it sent is no HTTP"
    default: fault.name
    }
  }
}

/// Where events go.
final class UpstreamJournal: Sendable {
  private let listener = Mutex<(@Sendable (UpstreamEvent) -> Void)?>(nil)

  func listen(_ listener: @escaping @Sendable (UpstreamEvent) -> Void) {
    self.listener.withLock { $0 = listener }
  }

  func tell(_ event: UpstreamEvent) {
    let listener = listener.withLock { $0 }
    listener?(event)
  }

  func tell(_ change: ServerHealth.Change?, of server: UpstreamServer) {
    switch change {
    case .down(let cause): tell(.down(server: server.name, cause, last: server.lastTrouble))
    case .up: tell(.up(server: server.name))
    case nil: return
    }
  }
}
