import Base
import Foundation
import Logging
import Testing

@testable import Telemetry

/// An entry's texts, kept for as long as its spans are used.
struct Texts {
  var client = Array("203.0.113.7".utf8)
  var method = Array("GET".utf8)
  var target = Array("/ipfs/bafkqaaa?format=raw".utf8)
  var upstream: [UInt8] = []
  var referer: [UInt8] = []
  var userAgent: [UInt8] = []
  var time = WallTime(seconds: 1_767_323_045, milliseconds: 7)
  var duration = Interval(nanoseconds: 1_002_003_999)
  var reason: StaticString = ""
  var host: [UInt8] = []
  var tls: [UInt8] = []
  var cipher: [UInt8] = []
  var region: [UInt8] = []
  var trace: [UInt8] = []
  var firstByte: Interval?
  var upstreamTime: Interval?
  var bytesReceived = 0
  var isAborted = false
  var sample = 1

  func withEntry(_ body: (borrowing AccessLogEntry) -> Void) {
    body(
      AccessLogEntry(
        time: time, duration: duration, firstByte: firstByte, upstreamTime: upstreamTime,
        client: client.rawBytes, method: method.rawBytes, target: target.rawBytes,
        host: host.rawBytes, version: "HTTP/1.1", tls: tls.rawBytes, cipher: cipher.rawBytes,
        status: 206, bytesSent: 4_711, bytesReceived: bytesReceived, cache: "hit", reason: reason,
        region: region.rawBytes, upstream: upstream.rawBytes, referer: referer.rawBytes,
        userAgent: userAgent.rawBytes, trace: trace.rawBytes, isAborted: isAborted, sample: sample))
  }

  var line: String {
    var formatter = AccessLogFormatter()
    var output = ByteBuffer(capacity: 64)
    withEntry { formatter.append($0, to: &output) }
    return output.readable.text
  }
}

let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

@Suite struct AccessLogFormatterTests {
  @Test func aLineIsSpelledLikeThis() {
    #expect(
      Texts().line == """
        {"time":"2026-01-02T03:04:05.007Z","client":"203.0.113.7","method":"GET",\
        "target":"/ipfs/bafkqaaa?format=raw","version":"HTTP/1.1","status":206,"bytes":4711,\
        "request_bytes":0,"duration":1.002003,"cache":"hit"}

        """)
    let texts = Texts(
      upstream: Array("kubo-1".utf8), referer: Array("https://a/\"".utf8),
      userAgent: [0x0a, 0xff], duration: Interval(nanoseconds: -5), reason: "no_length")
    #expect(
      texts.line.hasSuffix(
        #""duration":0.000000,"cache":"hit","reason":"no_length","upstream":"kubo-1","#
          + #""referer":"https://a/\"","user_agent":"\u000a\ufffd"}"# + "\n"))
  }

  @Test func theSecondsTextFollowsTheTime() {
    var formatter = AccessLogFormatter()
    var random = SeededRandom(seed: 5)
    for _ in 0..<200 {
      let time = WallTime(
        seconds: Int64(1_767_323_045 + random.number(in: 0...2)),
        milliseconds: random.number(in: 0...999))
      var output = ByteBuffer(capacity: 64)
      Texts(time: time).withEntry { formatter.append($0, to: &output) }
      #expect(output.readable.text == Texts(time: time).line)
    }
  }

  @Test func anyBytesGiveOneLineOfJSONWithinItsBound() throws {
    var random = SeededRandom(seed: 13)
    for round in 0..<60 {
      func bytes() -> [UInt8] {
        let count = random.number(in: 0...6_000)
        return (0..<count).map { _ in round == 0 ? 0x01 : UInt8(random.number(in: 0...255)) }
      }
      let texts = Texts(
        client: bytes(), method: bytes(), target: bytes(), upstream: bytes(), referer: bytes(),
        userAgent: bytes(), time: WallTime(seconds: .min, milliseconds: 999),
        duration: Interval(nanoseconds: .max), reason: "foreign_answer")
      let line = texts.line
      #expect(line.utf8.count <= AccessLogLimits.line)
      #expect(line.utf8.filter { $0 == 0x0a }.count == 1)
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(object?["status"] as? Int == 206)
      #expect(object?["bytes"] as? Int == 4_711)
      let field = String(decoding: texts.target.prefix(3), as: UTF8.self)
      if texts.target.prefix(3).allSatisfy({ $0 < 0x80 }) {
        #expect((object?["target"] as? String)?.hasPrefix(field) == true)
      }
    }
  }

  @Test func longFieldsAreCutAtTheirBound() throws {
    let texts = Texts(
      target: Array(repeating: 0x61, count: 5_000), userAgent: Array(repeating: 0x62, count: 2_000))
    let object =
      try JSONSerialization.jsonObject(with: Data(texts.line.utf8)) as? [String: Any]
    #expect((object?["target"] as? String)?.count == AccessLogLimits.target)
    #expect((object?["user_agent"] as? String)?.count == AccessLogLimits.field)
  }
}

@Suite struct AccessLogSamplingTests {
  @Test func aShareIsTakenByChance() {
    var sampling = AccessLogSampling(oneOf: 10, seed: 3)
    let taken = (0..<20_000).filter { _ in sampling.takes() }
    #expect((1_800...2_200).contains(taken.count))
    // Not every tenth: the steps between them differ.
    #expect(Set(zip(taken, taken.dropFirst()).map { $1 - $0 }).count > 20)
  }

  @Test func oneOfOneIsAll() {
    var sampling = AccessLogSampling(oneOf: 1, seed: 3)
    #expect((0..<1_000).allSatisfy { _ in sampling.takes() })
    var nonsense = AccessLogSampling(oneOf: -4, seed: 3)
    #expect(nonsense.oneOf == 1 && nonsense.takes())
  }

  @Test func onlyWhatIsOrdinaryIsLeftOut() {
    var options = AccessLogOptions()
    options.sample = 1_000
    let writer = AccessLogWriter(.file(path: "/nowhere"), options, log: silent)
    var buffer = AccessLogBuffer(writer: writer, seed: 1, now: .zero)
    #expect((0..<100).allSatisfy { _ in buffer.sample(isOrdinary: false) == 1 })
    let samples = (0..<10_000).compactMap { _ in buffer.sample(isOrdinary: true) }
    #expect((1...40).contains(samples.count) && samples.allSatisfy { $0 == 1_000 })
    var off = AccessLogBuffer(writer: AccessLogWriter(.off, log: silent), now: .zero)
    #expect(off.sample(isOrdinary: false) == nil)
  }
}

@Suite struct AccessLogWriterTests {
  private let path = FileManager.default.temporaryDirectory
    .appendingPathComponent("sluice-access-\(UUID().uuidString).log").path

  private func lines(_ path: String) throws -> [Substring] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
  }

  @Test func everyLineArrivesInOrder() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let writer = AccessLogWriter(.file(path: path), log: silent)
    let thread = try writer.start()
    var buffer = AccessLogBuffer(writer: writer, now: .zero)
    var expected: [Substring] = []
    for count in 0..<3_000 {
      let texts = Texts(target: Array("/ipfs/\(count)".utf8))
      texts.withEntry { buffer.append($0) }
      expected.append(texts.line.dropLast())
    }
    buffer.flush()
    writer.stop()
    thread.join()
    #expect(try lines(path) == expected)
    #expect(writer.droppedLines == 0)
  }

  @Test func aFullQueueDropsAndCountsAndNothingWaits() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let writer = AccessLogWriter(.file(path: path), log: silent)
    var buffer = AccessLogBuffer(writer: writer, now: .zero)
    for count in 0..<AccessLogLimits.waitingBuffers + 3 {
      Texts(target: Array("/\(count)".utf8)).withEntry { buffer.append($0) }
      buffer.flush()
    }
    #expect(writer.droppedLines == 3)
    let metric = try #require(writer.metrics.first)
    guard case .integer(3) = metric.number else { throw Fault(.mismatch, .own) }
    let thread = try writer.start()
    writer.stop()
    thread.join()
    #expect(try lines(path).count == AccessLogLimits.waitingBuffers)
    #expect(try lines(path).last?.contains("\"/\(AccessLogLimits.waitingBuffers - 1)\"") == true)
    // What comes after the end has nobody to write it.
    Texts().withEntry { buffer.append($0) }
    buffer.flush()
    #expect(writer.droppedLines == 4)
  }

  @Test func linesWaitForAFullBufferOrASecond() {
    // Without a thread nothing leaves the queue, so what was handed on shows as what is dropped.
    let writer = AccessLogWriter(.file(path: path), log: silent)
    writer.stop()
    var buffer = AccessLogBuffer(writer: writer, now: .zero)
    Texts().withEntry { buffer.append($0) }
    buffer.flushIfDue(now: Instant(nanoseconds: 999_999_999))
    #expect(writer.droppedLines == 0)
    buffer.flushIfDue(now: Instant(nanoseconds: 1_000_000_000))
    #expect(writer.droppedLines == 1)
    buffer.flushIfDue(now: Instant(nanoseconds: 2_000_000_000))
    #expect(writer.droppedLines == 1)

    let perBuffer = (AccessLogLimits.buffer - 1) / Texts().line.utf8.count + 1
    for _ in 1..<perBuffer { Texts().withEntry { buffer.append($0) } }
    #expect(writer.droppedLines == 1)
    Texts().withEntry { buffer.append($0) }
    #expect(writer.droppedLines == 1 + perBuffer)
  }

  @Test func reopeningFollowsARotation() throws {
    let old = path + ".1"
    defer {
      try? FileManager.default.removeItem(atPath: path)
      try? FileManager.default.removeItem(atPath: old)
    }
    for target in ["/before", "/after"] {
      let writer = AccessLogWriter(.file(path: path), log: silent)
      let thread = try writer.start()
      var buffer = AccessLogBuffer(writer: writer, now: .zero)
      if target == "/after" {
        try FileManager.default.moveItem(atPath: path, toPath: old)
        writer.reopen()
      }
      Texts(target: Array(target.utf8)).withEntry { buffer.append($0) }
      buffer.flush()
      writer.stop()
      thread.join()
    }
    #expect(try lines(old).count == 1)
    #expect(try lines(old).first?.contains("/before") == true)
    #expect(try lines(path).count == 1)
    #expect(try lines(path).first?.contains("/after") == true)
  }

  /// Hands one line to a running writer, and waits until it is written or dropped.
  private func write(_ target: String, to writer: AccessLogWriter, until isDone: () -> Bool) throws
  {
    var buffer = AccessLogBuffer(writer: writer, now: .zero)
    Texts(target: Array(target.utf8)).withEntry { buffer.append($0) }
    buffer.flush()
    for _ in 0..<5_000 where !isDone() { usleep(1_000) }
    #expect(isDone())
  }

  @Test func aFileThatIsRemovedIsMadeAgainAndOneWithoutAFolderIsMissed() throws {
    let folder = path + ".d"
    let file = folder + "/access.log"
    let manager = FileManager.default
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? manager.removeItem(atPath: folder) }
    let writer = AccessLogWriter(.file(path: file), log: silent)
    let thread = try writer.start()
    func has(_ target: String) -> Bool {
      (try? String(contentsOfFile: file, encoding: .utf8))?.contains("\"\(target)\"") ?? false
    }
    try write("/first", to: writer) { has("/first") }
    try manager.removeItem(atPath: file)
    try write("/second", to: writer) { has("/second") }
    try manager.removeItem(atPath: folder)
    try write("/lost", to: writer) { writer.droppedLines == 1 }
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try write("/third", to: writer) { has("/third") }
    writer.stop()
    thread.join()
    #expect(writer.droppedLines == 1)
    #expect(try String(contentsOfFile: file, encoding: .utf8).hasPrefix("{"))
  }

  /// As on file systems that count no links, or where the path is that of a descriptor.
  @Test func aFileThatNeverHasANameIsWritten() throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try FileManager.default.removeItem(atPath: path)
    let writer = AccessLogWriter(.file(path: "/proc/self/fd/\(descriptor)"), log: silent)
    let thread = try writer.start()
    func lines() -> [Substring] {
      var room = [UInt8](repeating: 0, count: 1 << 16)
      let count = pread(descriptor, &room, room.count, 0)
      return String(decoding: room.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
    }
    for number in 1...2 {
      try write("/\(number)", to: writer) { lines().count == number || writer.droppedLines > 0 }
    }
    writer.reopen()
    try write("/3", to: writer) { lines().count == 3 || writer.droppedLines > 0 }
    writer.stop()
    thread.join()
    #expect(writer.droppedLines == 0 && lines().count == 3)
  }

  /// A write of which nothing went out leaves no part of a line that had to be ended.
  @Test func aFailedWriteLeavesNoEmptyLine() throws {
    signal(SIGPIPE, SIG_IGN)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try #require(mkfifo(path, 0o600) == 0)
    var reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    defer { close(reader) }
    let writer = AccessLogWriter(.file(path: path), log: silent)
    let thread = try writer.start()
    close(reader)
    try write("/lost", to: writer) { writer.droppedLines == 1 }
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    var text = ""
    func receive() -> Bool {
      var room = [UInt8](repeating: 0, count: 4096)
      let count = read(reader, &room, room.count)
      text += String(decoding: room.prefix(max(0, count)), as: UTF8.self)
      return text.hasSuffix("\n")
    }
    try write("/kept", to: writer) { receive() && text.contains("/kept") }
    writer.stop()
    thread.join()
    #expect(text.hasPrefix("{") && writer.droppedLines == 1)
  }

  @Test func aFileThatCannotBeOpenedIsAFaultAtTheStart() {
    let writer = AccessLogWriter(.file(path: path + "/no/such"), log: silent)
    #expect(throws: Fault.self) { try writer.start().join() }
  }

  @Test func aWriteThatFailsIsCounted() throws {
    let writer = AccessLogWriter(.file(path: "/dev/full"), log: silent)
    let thread = try writer.start()
    var buffer = AccessLogBuffer(writer: writer, now: .zero)
    for _ in 0..<5 { Texts().withEntry { buffer.append($0) } }
    buffer.flush()
    writer.stop()
    thread.join()
    #expect(writer.droppedLines == 5)
  }

  @Test func destinationsAreReadFromTheSetting() throws {
    #expect(AccessLogDestination(path: nil) == .off)
    #expect(AccessLogDestination(path: "") == .off)
    #expect(AccessLogDestination(path: "-") == .standardOutput)
    #expect(AccessLogDestination(path: "/a") == .file(path: "/a"))
    let writer = AccessLogWriter(.off, log: silent)
    let thread = try writer.start()
    var buffer = AccessLogBuffer(writer: writer, now: .zero)
    Texts().withEntry { buffer.append($0) }
    buffer.flush()
    writer.stop()
    Texts().withEntry { buffer.append($0) }
    buffer.flush()
    thread.join()
    #expect(writer.droppedLines == 0)
  }
}
