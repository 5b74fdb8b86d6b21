internal import Base
internal import Synchronization
internal import System

/// The way into a loop from other threads: messages that it runs in its next turn, in order.
///
/// One atomic tells whether the loop has been woken already, so that many messages cost one wake-up.
/// Not for the hit path: it takes a lock.
public final class Mailbox: Sendable {
  public typealias Message = @Sendable () -> Void

  private let messages = Mutex<[Message]>([])
  private let waiting = Atomic<Bool>(false)
  private let wakeUp: WakeUp?

  /// A mailbox whose messages end the wait of a real loop.
  init(waking: WakeUp) {
    wakeUp = waking
  }

  /// A mailbox of a simulated loop, which looks before each turn.
  init() {
    wakeUp = nil
  }

  var descriptor: Int32 { wakeUp?.descriptor ?? -1 }

  /// Hands a message over; it runs on the loop's thread.
  ///
  /// Never blocks for long, never fails.
  public func post(_ message: @escaping Message) {
    messages.withLock { $0.append(message) }
    if !waiting.exchange(true, ordering: .acquiringAndReleasing) {
      wakeUp?.raise()
    }
  }

  var isEmpty: Bool { !waiting.load(ordering: .acquiring) }

  /// Takes note of the wake-up, also of one that came after its message had been run.
  func clearWakeUp() { wakeUp?.clear() }

  /// Runs all that was there when it was called.
  func deliver() {
    guard waiting.load(ordering: .acquiring) else { return }
    waiting.store(false, ordering: .sequentiallyConsistent)
    let batch = messages.withLock { held in
      let batch = held
      held.removeAll(keepingCapacity: batch.count <= 1024)
      return batch
    }
    for message in batch { message() }
  }
}
