internal import Base
internal import EventLoop
internal import Gateway
internal import System

/// One object explained.
extension AdminHandler {
  /// Each may read a large part of the index on a thread that waits for the disk, and workers need those too.
  private static let questionsAtOnce = 2

  func explain(_ query: RawSpan, _ task: AdminTask, _ loop: Loop) {
    let asked: WhyQuestion
    do throws(AdminRefusal) {
      asked = try WhyQuestion(query: query, host: subject.host)
    } catch {
      task.refuse(error)
      return
    }
    guard questions < Self.questionsAtOnce else {
      task.refuse(
        AdminRefusal(
          status: 503, error: "\(questions) questions are under way", hint: "try again"))
      return
    }
    let now = loop.now
    let mailbox = loop.mailbox
    let subject = subject
    let handler = Unshared(self)
    let isTaken = subject.gateway.explain(asked.content, at: now) { explanation in
      mailbox.post {
        handler.value.questions -= 1
        task.answer(
          WhyAnswer.value(
            explanation, asked, subject.gateway, at: now, wallSeconds: Clock.wallSeconds))
      }
    }
    if isTaken {
      questions += 1
    } else {
      task.refuse(AdminRefusal(status: 503, error: "the disk is busy", hint: "try again"))
    }
  }
}
