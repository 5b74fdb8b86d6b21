public import Admission
internal import Base
internal import Synchronization
internal import System

/// The denylist that is in use and what it has come to, for all workers.
public final class Denials: Sendable {
  /// A file of the list, as it was read last.
  public struct File: Sendable {
    public var path: String
    public var rules: Int
    public var invalidLines: Int
    /// Memory that its rules take.
    public var bytes: Int
    public var isUsable: Bool
    /// Where some lines begin.
    var places: [(line: Int, offset: Int)]
  }

  private struct State {
    var list: Denylist
    var files: [File] = []
    /// Refusals by file, of 410 and of 451.
    var refusals: [(gone: Int, legal: Int)]
    var cut = 0
  }

  private let state: Mutex<State>
  let pace = LogPace()
  let sweeps = DenialSweeps()

  init(_ list: Denylist, paths: [String]) {
    state = Mutex(
      State(list: list, refusals: Array(repeating: (gone: 0, legal: 0), count: paths.count)))
  }

  /// The list that is in use.
  public var list: Denylist { state.withLock { $0.list } }
  /// The number of that list.
  public var generation: UInt64 { list.generation }
  public var files: [File] { state.withLock { $0.files } }
  /// Requests refused by rules of each file: with 410, and with 451.
  public var refusals: [(gone: Int, legal: Int)] { state.withLock { $0.refusals } }
  /// Answers that were broken off since a rule came for what they gave.
  public var cutAnswers: Int { state.withLock { $0.cut } }

  func take(_ list: Denylist) { state.withLock { $0.list = list } }

  func note(_ files: [File]) { state.withLock { $0.files = files } }

  func count(_ finding: DenyFinding, cut: Bool) {
    state.withLock { state in
      if cut { state.cut += 1 }
      guard !cut, state.refusals.indices.contains(finding.file) else { return }
      if finding.mark.status == 451 {
        state.refusals[finding.file].legal += 1
      } else {
        state.refusals[finding.file].gone += 1
      }
    }
  }

  /// Where a rule stands: its file and line.
  public func place(of finding: DenyFinding) -> String {
    let path = state.withLock { state in
      state.files.indices.contains(finding.file) ? state.files[finding.file].path : ""
    }
    return "\(path):\(finding.mark.line)"
  }

  /// The text of a rule as it stands in its file now; nil where that cannot be read.
  ///
  /// Waits for the disk.
  func text(of finding: DenyFinding) -> String? {
    let file = state.withLock { state in
      state.files.indices.contains(finding.file) ? state.files[finding.file] : nil
    }
    guard let file, let place = file.places.last(where: { $0.line <= finding.mark.line })
    else { return nil }
    return DenyRuleText.read(file.path, line: finding.mark.line, from: place)
  }
}
