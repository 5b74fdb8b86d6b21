import Base
import Synchronization

/// The index in use, for all threads: it may be closed and another one opened while workers read.
///
/// Whoever reads holds the index that it reads from, and lets go of it at the end of its turn when the
/// epoch has changed; LMDB's environment closes with the last of them.
final class IndexShelf: Sendable {
  typealias Waker = @Sendable () -> Void

  private struct State: Sendable {
    var index: Index?
    var wakers: [Waker] = []
  }

  private let state: Mutex<State>
  /// Grows with every change.
  private let changes = Atomic<Int>(0)
  private let suspicion = Atomic<Int>(0)

  init(_ index: Index?) {
    state = Mutex(State(index: index))
  }

  /// The number of the index in use; another one means that readers must let go.
  var epoch: Int { changes.load(ordering: .acquiring) }

  /// The index in use; nil while there is none.
  var index: Index? { state.withLock { $0.index } }

  /// Puts another index, or none, in the place of the one there, and wakes all who may hold it.
  func put(_ index: Index?) {
    let wakers = state.withLock { state in
      state.index = index
      return state.wakers
    }
    changes.add(1, ordering: .acquiringAndReleasing)
    for wake in wakers { wake() }
  }

  /// Has `wake` called, on any thread, at each change.
  func onChange(_ wake: @escaping Waker) {
    state.withLock { $0.wakers.append(wake) }
  }

  /// What a reader may have met.
  enum Suspicion: Int {
    /// LMDB gives nothing until it is opened again: a commit has failed half-way.
    case panic = 1
    /// What no index of ours holds.
    case damage
  }

  /// Notes what a reader has met, where it says something of the index.
  func suspect(_ fault: Fault) {
    guard fault.kind == .corrupt else { return }
    let what: Suspicion = fault.errno == Index.panic ? .panic : .damage
    _ = suspicion.max(what.rawValue, ordering: .acquiringAndReleasing)
  }

  /// The worst that a reader has met since the last time that this was asked.
  func takeSuspicion() -> Suspicion? {
    Suspicion(rawValue: suspicion.exchange(0, ordering: .acquiringAndReleasing))
  }
}
