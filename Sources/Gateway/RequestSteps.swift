internal import Base

/// What a request waited for, and how long for each.
///
/// Only waits are noted: between them a request takes one turn of its loop, whose time stands still. Looking
/// into the index is such a part.
struct RequestSteps {
  enum Step: Int, CaseIterable {
    /// What a name leads to.
    case name
    /// The head of a server's answer, which another request may have asked for.
    case server
    /// Further bytes of its body.
    case body
    case disk
    /// The client, to take more.
    case client

    var label: String {
      switch self {
      case .name: "name"
      case .server: "server"
      case .body: "body"
      case .disk: "disk"
      case .client: "client"
      }
    }
  }

  private(set) var current: Step?
  private var since = Instant.zero
  private var spent = InlineArray<5, Interval>(repeating: .zero)
  /// Whether anything has been waited for.
  private(set) var isUsed = false

  /// Begins to wait; a wait for something else ends, and one for the same goes on.
  mutating func begin(_ step: Step, at now: Instant) {
    if current == step { return }
    end(at: now)
    current = step
    since = now
    isUsed = true
  }

  /// Ends the wait, if there is one; how long it was.
  @discardableResult
  mutating func end(at now: Instant) -> Interval {
    guard let step = current else { return .zero }
    current = nil
    let waited = max(.zero, now - since)
    spent[step.rawValue] = spent[step.rawValue] + waited
    return waited
  }

  /// How long it has been waited for that, a wait that goes on counted in.
  func time(_ step: Step, at now: Instant) -> Interval {
    let ended = spent[step.rawValue]
    return current == step ? ended + max(.zero, now - since) : ended
  }

  /// How long servers were waited for.
  func upstreamTime(at now: Instant) -> Interval {
    time(.name, at: now) + time(.server, at: now) + time(.body, at: now)
  }
}
