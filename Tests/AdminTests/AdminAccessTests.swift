import Base
import HTTP
import HTTP1
import Testing

@testable import Admin

/// Who may read and who may change, without sockets.
@Suite struct AdminAccessTests {
  static let token = Array("correct-horse-battery".utf8)
  static let access = AdminAccess(
    allow: NetworkSet(
      [try? Network("127.0.0.0/8"), try? Network("2001:db8::/32")].compactMap { $0 }),
    hosts: ["gateway.internal"])

  /// What a request comes to; nil where it is let in.
  static func refusal(
    _ lines: [String], from peer: String = "127.0.0.1", _ need: AdminAccess.Need,
    token: Result<[UInt8]?, AdminToken.Unusable> = .success(Self.token),
    host: String = "127.0.0.1:9180"
  ) throws -> AdminRefusal? {
    let text = Array(
      (["POST /api/v1/purge HTTP/1.1", "Host: \(host)"] + lines + ["", ""])
        .joined(separator: "\r\n").utf8)
    var parser = RequestParser()
    var head = RequestHead()
    guard case .complete = parser.parse(text.rawBytes, into: &head) else {
      Issue.record("no head")
      return nil
    }
    return access.refusal(of: head, text.rawBytes, from: NetworkAddress(peer), need, token: token)
  }

  static let good = [
    "Content-Type: application/json", "Content-Length: 2",
    "Authorization: Bearer correct-horse-battery",
  ]

  @Test func readingGoesByNetwork() throws {
    for peer in ["127.0.0.1", "127.9.9.9", "2001:db8::7"] {
      #expect(try Self.refusal([], from: peer, .network) == nil)
      #expect(try Self.refusal([], from: peer, .reading) == nil)
    }
    for peer in ["192.0.2.1", "::1", "::ffff:192.0.2.1"] {
      for need in [AdminAccess.Need.network, .reading, .changing] {
        #expect(try Self.refusal(Self.good, from: peer, need)?.status == 403)
      }
      #expect(try Self.refusal([], from: peer, .nothing) == nil)
    }
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.0.0.1:9180", true), ("[::1]:9180", true), ("localhost", true),
    ("LocalHost:1", true), ("gateway.internal:9180", true), ("Gateway.Internal", true),
    ("192.0.2.7", true), ("evil.example", false), ("gateway.internal.evil.example", false),
    ("127.0.0.1.evil.example", false), ("localhost.evil.example", false), ("", false),
    ("1", false), ("127.1", false),
  ])
  func onlyOwnNamesAreAskedBy(host: String, isOwn: Bool) throws {
    let refusal = try? Self.refusal([], .reading, host: host)
    #expect((refusal == nil) == isOwn, "\(host)")
    if let refusal { #expect(refusal.status == 421) }
    // A scraper may have another name for it: what it reads is no page's to steal.
    #expect(try Self.refusal([], .network, host: host) == nil)
  }

  @Test(arguments: [
    "Origin: http://127.0.0.1:9180", "Origin: null", "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-origin", "sec-fetch-site: same-site",
  ])
  func pagesAreRefused(line: String) throws {
    #expect(try Self.refusal([line], .reading)?.status == 403)
    #expect(try Self.refusal(Self.good + [line], .changing)?.status == 403)
  }

  @Test func whoTypesAnAddressIsNoPage() throws {
    #expect(
      try Self.refusal(["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"], .reading) == nil)
  }

  @Test func changesNeedTheToken() throws {
    #expect(try Self.refusal(Self.good, .changing) == nil)
    let others = [
      [], ["Authorization: Bearer correct-horse-batterx"], ["Authorization: Bearer "],
      ["Authorization: Basic correct-horse-battery"], ["Authorization: correct-horse-battery"],
      ["Authorization: Bearer correct-horse-battery2"], ["Authorization: Bearer correct-horse"],
      ["Authorization: Bearer correct-horse-batterycorrect-horse-battery"],
      [
        "Authorization: Bearer correct-horse-battery",
        "Authorization: Bearer correct-horse-battery",
      ],
    ]
    for lines in others {
      let refusal = try Self.refusal(Array(Self.good.prefix(2)) + lines, .changing)
      #expect(refusal?.status == 401, "\(lines)")
    }
    #expect(
      try Self.refusal(
        Array(Self.good.prefix(2)) + ["authorization: bEARER   correct-horse-battery"], .changing)
        == nil)
  }

  @Test func withoutATokenNothingChanges() throws {
    let off = try Self.refusal(Self.good, .changing, token: .success(nil))
    #expect(off?.status == 403 && off?.hint.contains("admin.token_file") == true)
    let broken = try Self.refusal(
      Self.good, .changing, token: .failure(AdminToken.Unusable(sentence: "it is gone")))
    #expect(broken?.status == 503 && broken?.error.contains("it is gone") == true)
    // It is no help to whoever may only read.
    #expect(try Self.refusal([], .reading, token: .success(nil)) == nil)
  }

  @Test func changesAreJSONOfABoundedLength() throws {
    let token = Self.good[2]
    for type in ["", "Content-Type: text/plain", "Content-Type: application/json-seq"] {
      let lines = [token, "Content-Length: 2"] + (type.isEmpty ? [] : [type])
      #expect(try Self.refusal(lines, .changing)?.status == 415, "\(type)")
    }
    #expect(
      try Self.refusal(
        [token, "Content-Length: 2", "content-type: Application/JSON; charset=utf-8"], .changing)
        == nil)
    #expect(
      try Self.refusal(
        [token, "Content-Type: application/json", "Content-Length: 1048577"], .changing)?.status
        == 413)
  }

  @Test func tokensAreOneLineOfEnough() {
    func token(_ text: String) -> [UInt8]? { AdminToken.token(Array(text.utf8)) }
    #expect(token("0123456789abcdef\n") == Array("0123456789abcdef".utf8))
    #expect(token("0123456789abcdef\r\n") != nil)
    for text in [
      "", "short", "0123456789abcde\n", "0123456789 abcdef", "0123456789abcdef\nsecond-line",
      String(repeating: "a", count: 513), "0123456789abcdé0", "0123456789abcdef\u{0}",
    ] {
      #expect(token(text) == nil, "\(text)")
    }
  }

  @Test func tokensAreComparedWhole() {
    let token = Self.token
    func isSame(_ given: [UInt8], _ token: [UInt8]) -> Bool {
      AdminToken.isSame(given.rawBytes, token)
    }
    #expect(isSame(token, token))
    for count in 0..<token.count { #expect(!isSame(Array(token.prefix(count)), token)) }
    #expect(!isSame(token + token, token))
    #expect(!isSame([], []))
  }
}
