import Base
import Foundation
import Testing

@testable import Telemetry

@Suite struct AccessLogJSONTests {
  private func object(_ texts: Texts) throws -> [String: Any] {
    let line = texts.line
    #expect(line.utf8.filter { $0 == 0x0a }.count == 1 && line.hasSuffix("}\n"))
    #expect(line.utf8.count <= AccessLogLimits.line)
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    return try #require(object)
  }

  @Test func everyFieldHasItsName() throws {
    func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    let texts = Texts(
      upstream: bytes("eu/a:1"), referer: bytes("r"), userAgent: bytes("u"),
      time: WallTime(seconds: 0, milliseconds: 0), duration: .milliseconds(1_500),
      reason: "status", host: bytes("host:8080"), tls: bytes("TLSv1.3"),
      cipher: bytes("TLS_AES_256_GCM_SHA384"), region: bytes("eu"), trace: bytes("4bf9"),
      firstByte: .milliseconds(250), upstreamTime: .milliseconds(249), bytesReceived: 77,
      isAborted: true, sample: 100)
    let object = try object(texts)
    let names: [String: String] = [
      "host": "host:8080", "tls": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "region": "eu",
      "upstream": "eu/a:1", "referer": "r", "user_agent": "u", "trace_id": "4bf9",
      "version": "HTTP/1.1", "cache": "hit", "reason": "status", "client": "203.0.113.7",
      "method": "GET", "target": "/ipfs/bafkqaaa?format=raw", "time": "1970-01-01T00:00:00.000Z",
    ]
    for (name, value) in names { #expect(object[name] as? String == value, "\(name)") }
    #expect(object["status"] as? Int == 206 && object["bytes"] as? Int == 4_711)
    #expect(object["duration"] as? Double == 1.5 && object["first_byte"] as? Double == 0.25)
    #expect(object["upstream_time"] as? Double == 0.249)
    #expect(object["request_bytes"] as? Int == 77)
    #expect(object["aborted"] as? Bool == true && object["sample"] as? Int == 100)
    #expect(object.count == names.count + 8)
  }

  @Test func anyBytesInAnyFieldStayWithinTheirString() throws {
    var random = SeededRandom(seed: 31)
    // Mostly what could end a string or a line.
    let awkward: [UInt8] = [0x22, 0x5c, 0x0a, 0x0d, 0x00, 0x7f, 0xe2, 0x80, 0xa8]
    for _ in 0..<100 {
      func bytes() -> [UInt8] {
        (0..<random.number(in: 0...1_200)).map { _ in
          random.chance(0.5)
            ? awkward[random.number(in: 0...8)] : UInt8(random.number(in: 0...255))
        }
      }
      let object = try object(
        Texts(
          client: bytes(), method: bytes(), target: bytes(), upstream: bytes(), referer: bytes(),
          userAgent: bytes(), time: WallTime(seconds: .max, milliseconds: 0),
          reason: "foreign_answer", host: bytes(), tls: bytes(), cipher: bytes(), region: bytes(),
          trace: bytes(), firstByte: .zero, upstreamTime: Interval(nanoseconds: .max),
          bytesReceived: .min, isAborted: true, sample: .max))
      #expect(object["status"] as? Int == 206 && object["sample"] as? Int == .max)
    }
  }
}
