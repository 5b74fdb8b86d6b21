internal import Base
internal import HTTP
internal import Server
internal import System

/// A request that is not answered at once: its body comes first, or what it asks for takes a while.
///
/// Unchecked: touched on the admin's thread alone; others hold it only to post it back there.
final class AdminTask: Responder, @unchecked Sendable {
  /// Nil once it has been answered, or its client has gone.
  private var stream: ClientStream?
  private var body = ByteBuffer(capacity: 4096)
  private var whenRead: ((AdminTask, [UInt8]) -> Void)?
  /// Who asks, for the audit log.
  let client: String

  init(_ stream: ClientStream) {
    self.stream = stream
    client = stream.peer.host
    super.init()
    stream.responder = self
  }

  /// Reads the request's body, and then calls `done` with it.
  func readBody(_ done: @escaping (AdminTask, [UInt8]) -> Void) {
    guard let stream else { return }
    guard stream.requestBody != .absent else {
      refuse(AdminRefusal(status: 400, error: "the request has no body", hint: Self.bodyHint))
      return
    }
    whenRead = done
    stream.takeBody()
  }

  private static let bodyHint = "send what is to be changed as a JSON object"

  override func bodyReadable() {
    while let stream, let done = whenRead {
      var pulled = BodyPull.pause
      // One byte more than is allowed shows that there is more.
      let room = AdminAccess.maximumBody + 1 - body.count
      _ = unsafe body.fill(atLeast: min(room, 16 << 10)) { tail in
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: tail[..<min(tail.count, room)])
        pulled = unsafe stream.pullBody(into: part)
        if case .bytes(let count) = pulled { return count }
        return 0
      }
      switch pulled {
      case .bytes:
        guard body.count <= AdminAccess.maximumBody else {
          refuse(
            AdminRefusal(
              status: 413, error: "the body is longer than \(AdminAccess.maximumBody) bytes",
              hint: "send less at once"))
          return
        }
      case .pause: return
      case .end:
        whenRead = nil
        done(self, body.withReadable { $0.array })
        return
      case .broken(let fault):
        whenRead = nil
        let isLate = fault.kind == .timeout
        refuse(
          AdminRefusal(
            status: isLate ? 408 : 400,
            error: isLate ? "the body did not arrive in time" : "the body is malformed"))
        return
      }
    }
  }

  override func aborted() { end() }

  private func end() {
    stream = nil
    whenRead = nil
  }

  func answer(_ value: JSONValue, status: Int = 200) {
    guard let stream else { return }
    end()
    AdminAnswer.send(value, status: status, on: stream)
  }

  func refuse(_ refusal: AdminRefusal) {
    guard let stream else { return }
    end()
    AdminAnswer.send(refusal, isAPI: true, on: stream)
  }
}
