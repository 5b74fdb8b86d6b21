internal import Base
internal import EventLoop
internal import Gateway
internal import Logging
internal import Synchronization
internal import Telemetry

/// Content taken off the disk, with a receipt.
extension AdminHandler {
  /// Each reads the whole index on a thread that waits for the disk, and workers need those too.
  private static let purgesAtOnce = 2

  func purge(_ body: [UInt8], _ task: AdminTask, _ loop: Loop) {
    let request: PurgeRequest
    do throws(AdminRefusal) {
      request = try PurgeRequest(body)
    } catch {
      task.refuse(error)
      return
    }
    guard purges < Self.purgesAtOnce else {
      task.refuse(
        AdminRefusal(
          status: 503, error: "\(purges) purges are under way", hint: "try again, or send batches"))
      return
    }
    purges += 1
    let plan = PurgePlan(request, subject.gateway, at: loop.now)
    let step = AuditStep(action: "purge", client: task.client, reason: request.reason)
    let begun: [JSONValue.Member] = [
      .init(
        "subjects",
        .array(
          plan.entries.map { .members(["kind": .string($0.kind), "subject": .string($0.subject)]) })
      )
    ]
    note(step.line("begun", begun), loop) { [self] fault in
      if let fault {
        purges -= 1
        refuseUnnoted(task, fault)
        return
      }
      remove(plan, step, task, loop)
    }
  }

  private func remove(_ plan: PurgePlan, _ step: AuditStep, _ task: AdminTask, _ loop: Loop) {
    for name in plan.names { subject.gateway.forget(name: name.rawBytes) }
    let began = loop.now
    let mailbox = loop.mailbox
    let handler = Unshared((self, loop))
    subject.gateway.remove(plan.batch) { outcome in
      mailbox.post { handler.value.0.removed(outcome, plan, step, task, began, handler.value.1) }
    }
  }

  private func removed(
    _ outcome: RemovalOutcome, _ plan: PurgePlan, _ step: AuditStep, _ task: AdminTask,
    _ began: Instant, _ loop: Loop
  ) {
    let elapsed = (loop.now - began).seconds
    var members: [JSONValue.Member] = [
      .init("complete", .bool(outcome.fault == nil)),
      .init("seconds", .real((elapsed * 1_000).rounded() / 1_000)),
    ]
    if let fault = outcome.fault { members.append(.init("fault", .string(fault.name))) }
    members += PurgePlan.totals(outcome)
    members.append(.init("receipts", plan.receipts(outcome)))
    subject.counters.changes.add(1, ordering: .relaxed)
    subject.log.notice(
      "content was purged",
      metadata: [
        "client": .string(task.client), "subjects": .stringConvertible(plan.entries.count),
        "objects": .stringConvertible(outcome.parts.reduce(0) { $0 + $1.objects }),
        "bytes": .stringConvertible(outcome.parts.reduce(0) { $0 + $1.bytes }),
        "complete": .stringConvertible(outcome.fault == nil),
      ])
    note(step.line("done", members), loop) { [self] fault in
      purges -= 1
      var answer = [
        JSONValue.Member("id", .string(step.id)), .init("began", .string(step.time)),
      ]
      answer += members
      answer.append(.init("audited", .bool(subject.audit != nil && fault == nil)))
      if fault != nil {
        subject.log.error(
          "a purge could not be noted in the audit log", metadata: ["id": .string(step.id)])
      }
      var errors: [String] = []
      if outcome.fault != nil {
        errors.append(
          "the purge did not go to its end: send it again; what its receipts count is given no more, and its bytes "
            + "go at the next start at the latest")
      }
      if fault != nil { errors.append("the audit log has no line about how it ended") }
      if !errors.isEmpty {
        answer.append(.init("error", .string(errors.joined(separator: "; "))))
      }
      task.answer(.object(answer), status: outcome.fault == nil && fault == nil ? 200 : 500)
    }
  }
}
