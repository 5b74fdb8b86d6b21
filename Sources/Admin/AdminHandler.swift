internal import Base
public import Gateway
public import HTTP
public import HTTP1
public import Server
public import TLS
public import Telemetry

/// What the admin pages tell of, read when they are asked for.
public struct AdminSubject: Sendable {
  public var gateway: Gateway
  /// The workers' pages.
  public var pages: [CounterPage]
  /// The names of the regions that the pages count, by their places there.
  public var regions: [String]
  /// Nil where no listener has TLS.
  public var certificates: CertificateStore?
  public var accessLog: AccessLogWriter?
  public var version: String

  public init(
    gateway: Gateway, pages: [CounterPage], regions: [String], certificates: CertificateStore?,
    accessLog: AccessLogWriter?, version: String
  ) {
    self.gateway = gateway
    self.pages = pages
    self.regions = regions
    self.certificates = certificates
    self.accessLog = accessLog
    self.version = version
  }
}

/// Answers on the admin address: `/metrics` for Prometheus, `/health`, and a page that names both.
public final class AdminHandler: RequestHandler {
  private let subject: AdminSubject

  public init(_ subject: AdminSubject) {
    self.subject = subject
  }

  public func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    guard request.method == .get || request.method == .head else {
      send(405, "text/plain; charset=utf-8", on: stream) {
        $0.append("405 Method Not Allowed: the admin pages answer GET and HEAD\n")
      }
      return
    }
    let path = text.bytes(request.path)
    if path.equals("/metrics") {
      send(200, Exposition.contentType, on: stream) {
        Exposition.write(pages: subject.pages, values: Metrics.values(of: subject), into: &$0)
      }
    } else if path.equals("/health") {
      send(200, "text/plain; charset=utf-8", on: stream) { $0.append("ok\n") }
    } else if path.equals("/") {
      send(200, "text/plain; charset=utf-8", on: stream) {
        $0.append("Sluice\n\n/metrics  counters and gauges, in the text format of Prometheus\n")
        $0.append("/health   ok, for as long as this process runs\n")
      }
    } else {
      send(404, "text/plain; charset=utf-8", on: stream) {
        $0.append("404 Not Found: the admin pages are /metrics and /health\n")
      }
    }
  }

  public func refuse(_ refusal: Refusal, on stream: ClientStream) {
    send(refusal.status, "text/plain; charset=utf-8", on: stream) {
      $0.append(decimal: refusal.status)
      $0.append(" ")
      $0.append(Status.reason(refusal.status))
      $0.append(": ")
      $0.append(refusal.sentence)
      $0.append("\n")
    }
  }

  private func send(
    _ status: Int, _ type: StaticString, on stream: ClientStream,
    _ write: (inout ByteBuffer) -> Void
  ) {
    var body = ByteBuffer(capacity: 32 * 1024)
    write(&body)
    stream.begin(status: status)
    stream.field(.contentType, type)
    stream.field(.cacheControl, "no-store")
    if status == 405 { stream.field(.allow, "GET, HEAD") }
    stream.endHead(.known(Int64(body.count)))
    if stream.bodyDue > 0 { stream.fill(body.readable) }
    stream.finish()
  }
}
