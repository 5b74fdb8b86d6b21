/// Requests and responses that the tests share.
enum Corpus {
  static let good = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nHEAD /ipfs/bafkqaaa?format=raw HTTP/1.1\r\nHost:  gateway.example:8080 \t\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET /a HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE\r\n\r\n",
    "POST /x HTTP/1.1\r\nhost: a\r\nContent-Length: 0012\r\nExpect: 100-Continue\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n",
    "GET http://Example.com:80/ipfs/x?y HTTP/1.1\r\nHost: example.COM\r\n\r\n",
    "GET HTTPS://a?q=1 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "GET http://[::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    "PURGE /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\u{e9}\u{4e2d} HTTP/1.1\r\nHost:\r\nX-Empty:\r\nX-Tab: a\tb\r\nX-Text: \u{e9}\r\n\r\n",
    """
    GET /ipfs/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi/wiki/ HTTP/1.1\r
    Host: gateway.example\r
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r
    Accept-Language: en-US,en;q=0.5\r
    Accept-Encoding: gzip, deflate, br, zstd\r
    Connection: keep-alive\r
    Upgrade-Insecure-Requests: 1\r
    Sec-Fetch-Dest: document\r
    If-None-Match: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"\r
    Range: bytes=0-\r
    \r

    """,
  ]

  /// What must be refused, and how.
  static let bad: [(text: String, status: Int)] = [
    // The request line.
    ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n", 400), ("GET /\r\n", 400), ("GET\r\n", 400),
    (" GET / HTTP/1.1\r\n", 400), ("GET  / HTTP/1.1\r\n", 400), ("GET / HTTP/1.1 \r\n", 400),
    ("GET /  HTTP/1.1\r\n", 400), ("GET /a b HTTP/1.1\r\n", 400), ("GET\t/\tHTTP/1.1\r\n", 400),
    ("GET /\t HTTP/1.1\r\n", 400), ("GE(T / HTTP/1.1\r\n", 400), ("G\u{e9}T / HTTP/1.1\r\n", 400),
    ("GET / http/1.1\r\n", 400), ("GET / HTTP/1\r\n", 400), ("GET / HTTP/1.10\r\n", 400),
    ("GET / HTTP/11\r\n", 400), ("GET / HTTP/x.1\r\n", 400), ("GET / HTTP/1.1x\r\n", 400),
    ("GET / HTTP/2.0\r\n", 505), ("GET / HTTP/0.9\r\n", 505), ("GET / HTTP/1.2\r\n", 505),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    // The target.
    ("GET * HTTP/1.1\r\n", 400), ("GET a HTTP/1.1\r\n", 400), ("GET ftp://a/ HTTP/1.1\r\n", 400),
    ("GET /a#b HTTP/1.1\r\n", 400), ("GET /a?b#c HTTP/1.1\r\n", 400),
    ("GET http://a#b HTTP/1.1\r\n", 400), ("GET http:// HTTP/1.1\r\n", 400),
    ("GET http:///a HTTP/1.1\r\n", 400), ("GET http://u@a/ HTTP/1.1\r\n", 400),
    ("GET http://a:b/ HTTP/1.1\r\n", 400), ("CONNECT / HTTP/1.1\r\n", 400),
    ("CONNECT a HTTP/1.1\r\n", 400), ("CONNECT a: HTTP/1.1\r\n", 400),
    ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ("GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", 400),
    ("GET http://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET http://a/ HTTP/1.1\r\n\r\n", 400),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:080808\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: [\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", 400), ("GET / HTTP/1.0\r\nHost: a?\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", 400),
    // Field lines.
    ("GET / HTTP/1.1\r\nHost : a\r\n", 400), ("GET / HTTP/1.1\r\nHost\t: a\r\n", 400),
    ("GET / HTTP/1.1\r\n Host: a\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\n\tb: c\r\n", 400), ("GET / HTTP/1.1\r\n: a\r\n", 400),
    ("GET / HTTP/1.1\r\nHost a\r\n", 400), ("GET / HTTP/1.1\r\nX Y: a\r\n", 400),
    ("GET / HTTP/1.1\r\nX(: a\r\n", 400), ("GET / HTTP/1.1\r\nX\u{e9}: a\r\n", 400),
    ("GET / HTTP/1.1\nHost: a\n\n", 400), ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\rb\r\n", 400), ("GET / HTTP/1.1\r\nA: b\r\r\n", 400),
    ("GET / HTTP/1.1\r\nA: \u{0}\r\n", 400), ("GET / HTTP/1.1\r\nA: \u{b}\r\n", 400),
    ("GET / HTTP/1.1\r\nA: \u{7f}\r\n", 400), ("GET /\u{0} HTTP/1.1\r\n", 400),
    ("GET / HTTP/1.1\r\nA\u{0}: b\r\n", 400), ("\n", 400), ("\r\r", 400), ("\u{16}\u{3}\u{1}", 400),
  ]

  /// Two servers in a row could disagree on where these end (RFC 9112, 6.3 and 11.2).
  static let smuggling: [(text: String, status: Int)] = [
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
    ("Content-Length: 5\r\nContent-Length: 6", 400),
    ("Content-Length: 5\r\nContent-Length: 5", 400),
    ("Content-Length: 5, 5", 400), ("Content-Length: +5", 400), ("Content-Length: -1", 400),
    ("Content-Length: 0x5", 400), ("Content-Length: 5 5", 400), ("Content-Length:", 400),
    ("Content-Length: 5;", 400), ("Content-Length: 9223372036854775808", 400),
    ("Content-Length: 5.0", 400), ("Content-Length : 5", 400), ("Content-Length\u{0}: 5", 400),
    ("Transfer-Encoding : chunked", 400), ("Transfer-Encoding:", 400),
    ("Transfer-Encoding: ,", 400), ("Transfer-Encoding: xchunked", 501),
    ("Transfer-Encoding: chunked, identity", 400), ("Transfer-Encoding: chunked, chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    ("Transfer-Encoding: identity", 501), ("Transfer-Encoding: gzip, chunked", 501),
    ("Transfer-Encoding: gzip", 501), ("Transfer-Encoding: \"chunked\"", 400),
    ("Transfer-Encoding: chunked;q=1", 400), ("Transfer-Encoding: \u{b}chunked", 400),
    ("Transfer-Encoding:\r\n chunked", 400), ("Transfer-Encoding\r\n: chunked", 400),
    ("X: y\nTransfer-Encoding: chunked", 400), ("X: y\rTransfer-Encoding: chunked", 400),
    ("\u{0}Transfer-Encoding: chunked", 400), (" Transfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\n\tidentity", 400),
  ]

  static let responses = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304\r\n\r\n",
    "HTTP/1.1 404 \r\nConnection: close\r\n\r\n", "HTTP/1.0 200 \u{e9}t\u{e9}\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nConnection: keep-alive\r\n\r\n",
  ]

  static let badResponses = [
    "\r\nHTTP/1.1 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 200OK\r\n",
    "HTTP/1.1  200 OK\r\n", "HTTP/1.1 600 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/2.0 200 OK\r\n",
    "http/1.1 200 OK\r\n", "HTTP/1.1 200 OK\n", "HTTP/1.1 +20 OK\r\n", "HTTP/1.1\r\n",
    "ICY 200 OK\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
    "HTTP/1.1 200 OK\r\nA : b\r\n", "HTTP/1.1 200 O\u{0}K\r\n",
  ]
}
