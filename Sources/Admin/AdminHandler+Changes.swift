internal import Base
internal import EventLoop
internal import Gateway
internal import Logging
internal import Synchronization
internal import System
internal import Telemetry
internal import Upstreams

/// One change, for its lines in the audit log.
struct AuditStep {
  /// The same in all lines of one change.
  let id: String
  let action: String
  let client: String
  let reason: String
  /// When it began.
  let time: String

  init(action: String, client: String, reason: String) {
    self.action = action
    self.client = client
    self.reason = reason
    time = Self.now
    let random = (try? SystemRandom.bytes(8)) ?? []
    id = random.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private static var now: String {
    let (seconds, milliseconds) = Clock.wall()
    return WallTime(seconds: seconds, milliseconds: milliseconds).text
  }

  /// A line about it, with the time of now.
  func line(_ state: String, _ members: [JSONValue.Member]) -> JSONValue {
    .object(
      [
        .init("time", .string(Self.now)), .init("id", .string(id)),
        .init("action", .string(action)), .init("state", .string(state)),
        .init("client", .string(client)), .init("reason", .string(reason)),
      ] + members)
  }
}

extension AdminHandler {
  /// Puts a line into the audit log, and goes on when it is on the disk; with a fault where it is not.
  func note(_ line: JSONValue, _ loop: Loop, _ done: @escaping (Fault?) -> Void) {
    guard let audit = subject.audit else { return done(nil) }
    let mailbox = loop.mailbox
    let then = Unshared(done)
    let isTaken = subject.disk.submit {
      var outcome: Fault?
      do throws(Fault) {
        try audit.append(line)
      } catch {
        outcome = error
      }
      let fault = outcome
      mailbox.post { then.value(fault) }
    }
    if !isTaken { done(Fault(.exhausted, .disk)) }
  }

  /// What cannot be noted is not done.
  func refuseUnnoted(_ task: AdminTask, _ fault: Fault) {
    let why = fault.errno == 0 ? fault.name : SystemError.text(fault.errno)
    subject.log.error(
      "the audit log cannot be written: nothing is changed", metadata: ["why": .string(why)])
    task.refuse(
      AdminRefusal(
        // A disk that is busy now can be asked again; one that refuses cannot.
        status: fault.kind == .exhausted ? 503 : 500,
        error: "the audit log cannot be written, so nothing was changed: \(why)",
        hint: "see admin.audit_log"))
  }

  // MARK: Servers

  /// Takes a server out, or in again.
  func drain(_ isDrained: Bool, _ body: [UInt8], _ task: AdminTask, _ loop: Loop) {
    let asked: DrainRequest
    do throws(AdminRefusal) {
      asked = try DrainRequest(body)
    } catch {
      task.refuse(error)
      return
    }
    let map = subject.gateway.upstreams
    guard map.has(asked.server) else {
      let names = map.servers.map(\.name).joined(separator: " ")
      task.refuse(
        AdminRefusal(
          status: 404, error: "there is no server \(asked.server)", hint: "there are \(names)"))
      return
    }
    let action = isDrained ? "drain" : "undrain"
    let step = AuditStep(action: action, client: task.client, reason: asked.reason)
    // Two of one server could be done in another order than they are noted in.
    guard !isDraining else {
      task.refuse(
        AdminRefusal(
          status: 503, error: "another server is being drained or taken in", hint: "try again"))
      return
    }
    isDraining = true
    let server = JSONValue.Member("server", .string(asked.server))
    note(step.line("begun", [server]), loop) { [self] fault in
      if let fault {
        isDraining = false
        refuseUnnoted(task, fault)
        return
      }
      let servers = map.setDrained(isDrained, asked.server)
      subject.counters.changes.add(1, ordering: .relaxed)
      note(step.line("done", [server]), loop) { [self] fault in
        isDraining = false
        drained(isDrained, servers, step, task, isNoted: fault == nil)
      }
    }
  }

  private func drained(
    _ isDrained: Bool, _ servers: [UpstreamServer], _ step: AuditStep, _ task: AdminTask,
    isNoted: Bool
  ) {
    var members: [JSONValue.Member] = [
      .init("id", .string(step.id)), .init("drained", .bool(isDrained)),
      .init(
        "servers",
        .array(
          servers.map {
            .members([
              "name": .string($0.name), "active": .integer($0.active),
              "waiting": .integer($0.waitingCount),
            ])
          })),
    ]
    if !isNoted {
      subject.log.error(
        "a change could not be noted in the audit log", metadata: ["id": .string(step.id)])
      members.append(
        .init("error", "it was done, but the audit log has no line about how it ended"))
    }
    task.answer(.object(members), status: isNoted ? 200 : 500)
  }
}

/// Which server is meant.
struct DrainRequest: Equatable {
  var server = ""
  var reason = ""

  init(_ body: [UInt8]) throws(AdminRefusal) {
    let value = try PurgeRequest.object(body)
    guard case .object(let members) = value else { return }
    for member in members {
      switch (member.name, member.value.string) {
      case ("server", .some(let text)): server = text
      case ("reason", .some(let text)) where text.utf8.count <= PurgeRequest.longestReason:
        reason = text
      default:
        throw AdminRefusal(
          status: 400, error: "\(member.name) cannot be used",
          hint: #"send {"server": "region/label"}, with a reason if there is one"#)
      }
    }
    guard !server.isEmpty else {
      throw AdminRefusal(
        status: 400, error: "no server is named", hint: #"send {"server": "region/label"}"#)
    }
  }
}

/// Carries something of the admin's thread through other threads back to it.
///
/// Unchecked: nobody touches the value on the way.
struct Unshared<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
