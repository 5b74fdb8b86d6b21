public import System

/// What a loop calls when something has happened to a socket, a timer or a promise.
///
/// A class, because a connection has identity and one owner, its loop. Everything is called on the
/// loop's own thread, never from within another call of the same handler.
open class EventHandler {
  public init() {}

  /// The socket can be read from or written to.
  ///
  /// Told once for each change: what is not drained now is not told again.
  open func ready(_ readiness: Readiness) {}

  /// A timer set with this tag has come.
  ///
  /// It may come too early or too late to matter: the handler compares with its own deadlines.
  open func deadline(_ tag: UInt32) {}
}
