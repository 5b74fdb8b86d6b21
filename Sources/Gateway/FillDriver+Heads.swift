internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import Upstreams

extension FillDriver {
  /// The head of an answer as readers get it, and how long its server took for it.
  func answerHead(
    _ answer: ResponseHead, text: RawSpan, keeps: Bool, by server: UpstreamServer
  ) -> AnswerHead {
    var head = AnswerPolicy.answerHead(
      answer, text: text, keeps: keeps, created: worker.loop.wallSeconds, server: server.name)
    head.connectTime = timing.connect
    head.firstByteTime = timing.firstByte
    return head
  }
}
