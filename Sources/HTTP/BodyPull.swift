public import Base

/// What came of asking the source of a body for bytes.
///
/// A body goes from its source to its sink in pulls: the sink asks when it has room, so that a slow sink slows
/// the source and nothing is queued in between.
public enum BodyPull: Equatable, Sendable {
  /// So many bytes were written to the start of the room, at least one.
  case bytes(Int)
  /// There are none now; the sink is told when asking again is of use.
  case pause
  /// All of the body has been given.
  case end
  /// The rest will not come.
  case broken(Fault)
}
