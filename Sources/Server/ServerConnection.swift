internal import EventLoop

/// A client's connection of either protocol, as its worker sees it.
class ServerConnection: EventHandler {
  let worker: ServerWorker
  /// Whether another request may follow on this connection.
  var keepAlive = true
  /// Its part of its client's number of connections; nil where none is kept.
  var clientPlace: ClientCounts.Place?

  init(_ worker: ServerWorker) {
    self.worker = worker
    super.init()
  }

  /// Stops taking requests: closes if idle, or after the answers under way.
  func drain() { preconditionFailure("a connection's duty") }

  /// Closes at once, whatever the state; answers under way learn of it.
  func close() { preconditionFailure("a connection's duty") }
}
