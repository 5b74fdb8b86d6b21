import Base
import Testing

@testable import HTTP

/// What `Forwarded.read` finds in some fields, as text that can be compared.
private struct Reading: Equatable, CustomStringConvertible {
  var client: String
  var scheme: Forwarded.Scheme?
  var host: String
  var peerIsTrusted: Bool

  var description: String { "\(client) \(scheme.map { "\($0)" } ?? "-") '\(host)'" }
}

/// Lays out the fields in one text, with something around each value, and reads them.
private func read(
  _ lines: [(FieldToken, String)], peer: String = "10.0.0.1", trusted: [String] = ["10.0.0.0/8"]
) throws -> Reading {
  var text = Array("GET / HTTP/1.1\r\n".utf8)
  var fields: [Field] = []
  for (token, value) in lines {
    let name = ByteRange(start: text.count, count: 1)
    text += Array("N: ".utf8)
    fields.append(
      Field(
        token: token, name: name, value: ByteRange(start: text.count, count: value.utf8.count)))
    text += Array("\(value)\r\n".utf8)
  }
  let networks = NetworkSet(try trusted.map { try Network($0) })
  let from = try #require(NetworkAddress(peer))
  let found = Forwarded.read(fields, text: text.rawBytes, peer: from) { networks.contains($0) }
  return Reading(
    client: found.client.description, scheme: found.scheme,
    host: text.rawBytes.bytes(found.host).text, peerIsTrusted: found.peerIsTrusted)
}

@Suite struct ForwardedTests {
  // MARK: X-Forwarded-For

  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:4711", "192.0.2.1"), (" 192.0.2.1\t", "192.0.2.1"),
    ("2001:db8::1", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:80", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
    ("203.0.113.9, 192.0.2.1", "192.0.2.1"), ("203.0.113.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
    ("192.0.2.1,10.0.0.2 ,10.0.0.3", "192.0.2.1"), ("10.0.0.3,10.0.0.2", "10.0.0.3"),
    (",,192.0.2.1,,", "192.0.2.1"), ("nonsense, 192.0.2.1", "192.0.2.1"),
    // What names no address ends the way.
    ("192.0.2.1, unknown", "10.0.0.1"), ("192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"),
    ("192.0.2.1, 10.0.0.2:x", "10.0.0.1"), ("192.0.2.1, 010.0.0.2", "10.0.0.1"),
    ("192.0.2.1 10.0.0.2", "10.0.0.1"), ("[192.0.2.1]", "10.0.0.1"), ("[::1", "10.0.0.1"),
    ("[::1]80", "10.0.0.1"), ("[::1]:", "10.0.0.1"), ("192.0.2.1:", "10.0.0.1"),
    ("192.0.2.1:123456", "10.0.0.1"), ("\"192.0.2.1\"", "10.0.0.1"), ("[]", "10.0.0.1"),
    ("", "10.0.0.1"), (",", "10.0.0.1"),
  ])
  func theClientIsTheFirstFromTheEndThatIsNotTrusted(list: String, client: String) throws {
    #expect(try read([(.xForwardedFor, list)]).client == client)
  }

  @Test func severalFieldsAreOneList() throws {
    let lines: [(FieldToken, String)] = [
      (.xForwardedFor, "203.0.113.9, 192.0.2.1"), (.host, "a"), (.xForwardedFor, "10.0.0.2"),
      (.xForwardedFor, ""),
    ]
    #expect(try read(lines).client == "192.0.2.1")
  }

  @Test func anUntrustedPeerIsNotBelieved() throws {
    let lines: [(FieldToken, String)] = [
      (.xForwardedFor, "192.0.2.1"), (.xForwardedProto, "https"), (.xForwardedHost, "a.example"),
      (.forwarded, "for=192.0.2.2;proto=https;host=b.example"),
    ]
    let plain = Reading(client: "203.0.113.5", scheme: nil, host: "", peerIsTrusted: false)
    #expect(try read(lines, peer: "203.0.113.5") == plain)
    #expect(try read(lines, trusted: []).client == "10.0.0.1")
    #expect(try read([]).client == "10.0.0.1")
    #expect(try read([]).peerIsTrusted)
  }

  @Test func chainsHaveABound() throws {
    let chain = (0..<200).map { "10.0.1.\($0)" }.joined(separator: ",")
    #expect(try read([(.xForwardedFor, chain)]).client == "10.0.1.\(200 - Forwarded.maximumHops)")
  }

  // MARK: X-Forwarded-Proto and X-Forwarded-Host

  @Test(arguments: [
    ("https", Forwarded.Scheme.https), ("HTTP", .http), ("wss", nil), ("", nil),
    ("https http", nil),
  ])
  func readsSchemes(text: String, scheme: Forwarded.Scheme?) throws {
    #expect(try read([(.xForwardedProto, text)]).scheme == scheme)
    #expect(try read([(.forwarded, "proto=\"\(text)\"")]).scheme == scheme)
  }

  @Test(arguments: [
    ("a.example", "a.example"), ("A.example:8080", "A.example:8080"), ("[::1]:80", "[::1]:80"),
    ("a.example/x", ""), ("a b", ""), ("a@b", ""), ("a:b", ""), (":80", ""), ("", ""), ("[::1", ""),
    ("a\"b", ""), ("é", ""),
  ])
  func readsHosts(text: String, host: String) throws {
    #expect(try read([(.xForwardedHost, text)]).host == host)
  }

  /// The peer's entry is the last; the entry that belongs to the client's address is the one taken.
  @Test(arguments: [
    // Client, then a first proxy, then the peer: both add to the lists.
    ("192.0.2.1, 10.0.0.2", "https, http", Forwarded.Scheme.https),
    // The peer alone; what stands before its word is the client's own.
    ("192.0.2.1", "https, http", .http),
    // The first proxy wrote it, the peer left it alone.
    ("192.0.2.1, 10.0.0.2", "https", .https),
    // A client that forges both lists.
    ("10.0.0.9, 192.0.2.1", "https, http", .http),
    ("", "https, http", .http), ("unknown", "https, http", .http),
    ("192.0.2.1, unknown, 10.0.0.2", "https, http, http", .http),
  ])
  func theSchemeIsThatOfTheClientsEntry(
    addresses: String, schemes: String, scheme: Forwarded.Scheme
  ) throws {
    let hosts = schemes.replacing("https", with: "secure.example")
      .replacing("http", with: "plain.example")
    let found = try read([
      (.xForwardedFor, addresses), (.xForwardedProto, schemes), (.xForwardedHost, hosts),
    ])
    #expect(found.scheme == scheme)
    #expect(found.host == (scheme == .https ? "secure.example" : "plain.example"))
  }

  // MARK: Forwarded

  @Test(arguments: [
    ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60 http ''"),
    ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 - ''"),
    ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17 - ''"),
    (
      "for=192.0.2.43;proto=https;host=a.example, for=10.0.0.2;proto=http;host=b.example",
      "192.0.2.43 https 'a.example'"
    ),
    ("for=192.0.2.43, for=10.0.0.2;proto=http", "192.0.2.43 http ''"),
    ("for=\"10.0.0.2:47011\";host=\"a.example:8080\"", "10.0.0.2 - 'a.example:8080'"),
    ("for=\"192.0.2.1:_port\"", "192.0.2.1 - ''"),
    ("proto=https;host=a.example", "10.0.0.1 https 'a.example'"),
    ("for=unknown;proto=https", "10.0.0.1 https ''"),
    ("for=192.0.2.1, for=_hidden;host=a.example, for=10.0.0.2", "10.0.0.2 - 'a.example'"),
    ("for=192.0.2.1;ext=\"a,b;c=d\";proto=https", "192.0.2.1 https ''"),
    ("for=192.0.2.1;;proto=https;", "192.0.2.1 https ''"),
    ("for=192.0.2.1 ; proto=https", "192.0.2.1 https ''"),
    ("FOR=192.0.2.1;PROTO=HTTPS;HOST=A.example", "192.0.2.1 https 'A.example'"),
    // Often written without the quotes that it wants.
    ("for=[2001:db8::1]:80", "2001:db8::1 - ''"), ("for=192.0.2.1:80", "192.0.2.1 - ''"),
    // Malformed elements say nothing at all, and end the way.
    ("for=192.0.2.1, for=10.0.0.2, proto", "10.0.0.1 - ''"),
    ("for=192.0.2.1, for = 10.0.0.2", "10.0.0.1 - ''"),
    ("for=192.0.2.1;for=192.0.2.2;proto=https", "10.0.0.1 - ''"),
    ("proto=https;for=", "10.0.0.1 - ''"), ("for=\"192.0.2.1", "10.0.0.1 - ''"),
    ("for=\"192.0.2.\\1\"", "10.0.0.1 - ''"), ("for=\"192.0.2.1\"x;proto=https", "10.0.0.1 - ''"),
    ("proto=https,for=\"x, for=192.0.2.1;proto=http", "10.0.0.1 - ''"),
    ("=192.0.2.1", "10.0.0.1 - ''"), (";", "10.0.0.1 - ''"), ("", "10.0.0.1 - ''"),
    ("for=\"\"", "10.0.0.1 - ''"), ("host=\"a.example/b\"", "10.0.0.1 - ''"),
  ])
  func readsForwarded(text: String, found: String) throws {
    #expect(try read([(.forwarded, text)]).description == found)
  }

  @Test func theOlderFieldsHideForwarded() throws {
    let new = (FieldToken.forwarded, "for=192.0.2.1;proto=https;host=a.example")
    #expect(try read([new]).description == "192.0.2.1 https 'a.example'")
    let both = try read([new, (.xForwardedFor, "198.51.100.1")])
    #expect(both.description == "198.51.100.1 - ''")
    #expect(try read([(.xForwardedProto, "http"), new]).description == "10.0.0.1 http ''")
    #expect(try read([(.xForwardedHost, ""), new]).description == "10.0.0.1 - ''")
  }

  // MARK: Anything

  /// The client is the peer, or an address that the fields name; and whoever stands before it is trusted.
  @Test func mutationsNeverTrap() throws {
    var random = SeededRandom(seed: 31)
    let pieces = [
      "for=", "proto=", "host=", "10.0.0.2", "192.0.2.1", "[2001:db8::1]", ":80", ",", ";", "\"",
      "\\",
      " ", "unknown", "_x", "https", "a.example", "=", "\t", "]", "[", "é", "",
    ]
    let tokens: [FieldToken] = [
      .xForwardedFor, .xForwardedProto, .xForwardedHost, .forwarded, .accept,
    ]
    for _ in 0..<5_000 {
      let lines = (0..<random.number(in: 0...4)).map { _ in
        (
          tokens[random.number(in: 0...tokens.count - 1)],
          (0..<random.number(in: 0...8)).map { _ in
            pieces[random.number(in: 0...pieces.count - 1)]
          }.joined()
        )
      }
      let found = try read(lines)
      let known = ["10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"]
      // Pieces side by side make other addresses, all of them longer than what is known.
      #expect(known.contains(found.client) || found.client.contains("2001:db8"), "\(lines)")
      #expect(found.peerIsTrusted)
    }
  }

  /// Places that do not lie in the text have no bytes.
  @Test func placesOutsideTheTextAreNone() {
    let place = ByteRange(start: 3, count: 100)
    let text = Array("192.0.2.1".utf8)
    for token in [FieldToken.xForwardedFor, .xForwardedHost, .forwarded] {
      let fields = [Field(token: token, name: .empty, value: place)]
      let peer = NetworkAddress(ipv4: 1)
      let found = Forwarded.read(fields, text: text.rawBytes, peer: peer) { _ in true }
      #expect(found.client == peer)
      #expect(found.host.isEmpty)
    }
  }
}
