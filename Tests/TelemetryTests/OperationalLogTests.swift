import Base
import Logging
import Synchronization
import Testing

@testable import Telemetry

@Suite struct OperationalLogTests {
  private final class Lines: Sendable {
    let all = Mutex<[String]>([])
  }

  private func logger(_ level: Logger.Level, _ lines: Lines) -> Logger {
    let handler = OperationalLog(
      level: level, clock: { WallTime(seconds: 1_767_323_045, milliseconds: 678) },
      sink: { line in
        let text = line.text
        lines.all.withLock { $0.append(text) }
      })
    return Logger(label: "test", factory: { _ in handler })
  }

  @Test func aLineIsSpelledLikeThis() {
    let lines = Lines()
    logger(.info, lines).info(
      "listening",
      metadata: [
        "port": "8080", "address": "127.0.0.1", "path": "/a b", "empty": "", "quote": "a\"b",
        "sum": "a=b", "line": "x\ny\u{1b}[31m", "list": ["a", "b"],
      ])
    #expect(
      lines.all.withLock { $0 } == [
        "2026-01-02T03:04:05.678Z info listening address=127.0.0.1 empty=\"\" "
          + #"line="x\u000ay\u001b[31m" list="[\"a\", \"b\"]" path="/a b" port=8080 "#
          + #"quote="a\"b" sum="a=b""# + "\n"
      ])
  }

  @Test func levelsBelowTheSettingAreSilent() {
    let lines = Lines()
    let log = logger(.warning, lines)
    log.info("quiet")
    log.warning("loud")
    log.critical("louder")
    #expect(
      lines.all.withLock { $0 } == [
        "2026-01-02T03:04:05.678Z warning loud\n",
        "2026-01-02T03:04:05.678Z critical louder\n",
      ])
  }

  @Test func theNearerValueWins() {
    let lines = Lines()
    var log = logger(.info, lines)
    log[metadataKey: "worker"] = "1"
    log[metadataKey: "kept"] = "yes"
    log.info("turn", metadata: ["worker": "2"])
    log.info("a message\nof two lines")
    #expect(
      lines.all.withLock { $0 } == [
        "2026-01-02T03:04:05.678Z info turn kept=yes worker=2\n",
        #"2026-01-02T03:04:05.678Z info a message\u000aof two lines kept=yes worker=1"# + "\n",
      ])
    #expect(log[metadataKey: "worker"] == "1")
  }
}
