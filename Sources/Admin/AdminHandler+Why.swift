internal import Base
internal import EventLoop
internal import Gateway
internal import System

/// One object explained.
extension AdminHandler {
  func explain(_ query: RawSpan, _ task: AdminTask, _ loop: Loop) {
    let asked: WhyQuestion
    do throws(AdminRefusal) {
      asked = try WhyQuestion(query: query, host: subject.host)
    } catch {
      task.refuse(error)
      return
    }
    let now = loop.now
    let mailbox = loop.mailbox
    let subject = subject
    let isTaken = subject.gateway.explain(asked.content, at: now) { explanation in
      mailbox.post {
        task.answer(
          WhyAnswer.value(
            explanation, asked, subject.gateway, at: now, wallSeconds: Clock.wallSeconds))
      }
    }
    if !isTaken {
      task.refuse(AdminRefusal(status: 503, error: "the disk is busy", hint: "try again"))
    }
  }
}
