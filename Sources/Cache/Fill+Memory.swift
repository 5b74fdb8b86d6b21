internal import Synchronization

/// What a fill's slices take of the budget.
extension Fill {
  /// Takes memory for a slice; nil where there is none, which `state` then tells why.
  func takeMemory(_ state: inout State, _ start: Int64, _ capacity: Int) -> SliceBudget.Use? {
    if !state.isKept && state.sliceShift == Fill.passedShift {
      // What the slowest reader waits for must come, whatever lies ready for those before it: that comes
      // free only when it has passed by.
      // It may wait for the last bytes before this slice, which are held back until more has come.
      let isDue = state.slowest.map { start <= $0 + Fill.heldBackBytes } ?? true
      if budget.takePassed(capacity, isFirst: state.places.isEmpty || isDue) { return .passed }
      state.pausedAt = min(state.pausedAt ?? .max, start)
      return nil
    }
    if state.reserved < capacity {
      // Slices under check come free only together: were each to take its own, all could wait for all.
      let whole = state.visibleEnd == .max ? capacity : Int((state.totalBytes ?? 0) - start)
      let wanted = max(whole, capacity) - state.reserved
      guard budget.take(wanted) else {
        state.lacking = wanted
        return nil
      }
      state.reserved += wanted
    }
    state.reserved -= capacity
    return .kept
  }

  /// How many bytes of memory `buffer` lacked when it was last asked; 0 where it gave one, or waits
  /// for readers.
  public var lackingBytes: Int { state.withLock(\.lacking) }

  /// Whether memory for the next slice has been taken already.
  public var hasReserve: Bool { state.withLock { $0.reserved > 0 } }

  /// Gives back what was taken for slices that will not come.
  func giveReserve(_ state: inout State) {
    budget.give(state.reserved, .kept)
    state.reserved = 0
  }
}
