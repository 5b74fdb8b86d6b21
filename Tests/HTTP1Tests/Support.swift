import Base
import HTTP
import HTTP1

/// What a parse came to, as text that can be compared.
func outcome(_ result: ParseResult, _ head: RequestHead, _ bytes: [UInt8]) -> String {
  switch result {
  case .needMore: "needMore"
  case .refused(let refusal): "\(refusal.status) \(refusal.sentence)"
  case .complete(let count):
    "\(count) \(head.method) \(text(head.target, bytes)) \(text(head.path, bytes))"
      + " ?\(text(head.query, bytes)) @\(text(head.authority, bytes)) \(head.version)"
      + " \(String(describing: head.contentLength)) \(head.isChunked) \(head.keepAlive)"
      + " \(head.expectsContinue) \(lines(head.fields, bytes))"
  }
}

func outcome(_ result: ParseResult, _ head: ResponseHead, _ bytes: [UInt8]) -> String {
  switch result {
  case .needMore: "needMore"
  case .refused(let refusal): "\(refusal.status) \(refusal.sentence)"
  case .complete(let count):
    "\(count) \(head.status) \(head.version) \(String(describing: head.contentLength))"
      + " \(head.isChunked) \(head.keepAlive) \(lines(head.fields, bytes))"
  }
}

func text(_ range: ByteRange, _ bytes: [UInt8]) -> String {
  bytes.rawBytes.bytes(range).text
}

func lines(_ fields: [Field], _ bytes: [UInt8]) -> [String] {
  fields.map { "\($0.token)|\(text($0.name, bytes))|\(text($0.value, bytes))" }
}

/// Parses a request that arrives in pieces ending at these offsets, and then whole.
func parseRequest(
  _ bytes: [UInt8], pieces: [Int] = [], limits: HTTP1Limits = HTTP1Limits()
) -> (result: ParseResult, head: RequestHead) {
  var parser = RequestParser(limits: limits)
  var head = RequestHead()
  for end in pieces {
    // A copy for each call: the caller may have moved its buffer.
    let arrived = [UInt8](bytes[..<end])
    let result = parser.parse(arrived.rawBytes, into: &head)
    if case .needMore = result { continue }
    return (result, head)
  }
  return (parser.parse(bytes.rawBytes, into: &head), head)
}

func parseResponse(
  _ bytes: [UInt8], pieces: [Int] = []
) -> (result: ParseResult, head: ResponseHead) {
  var parser = ResponseParser()
  var head = ResponseHead()
  for end in pieces {
    let arrived = [UInt8](bytes[..<end])
    let result = parser.parse(arrived.rawBytes, into: &head)
    if case .needMore = result { continue }
    return (result, head)
  }
  return (parser.parse(bytes.rawBytes, into: &head), head)
}

/// The outcome of a request, in pieces or whole.
func request(
  _ bytes: [UInt8], pieces: [Int] = [], limits: HTTP1Limits = HTTP1Limits()
) -> String {
  let (result, head) = parseRequest(bytes, pieces: pieces, limits: limits)
  return outcome(result, head, bytes)
}

func response(_ bytes: [UInt8], pieces: [Int] = []) -> String {
  let (result, head) = parseResponse(bytes, pieces: pieces)
  return outcome(result, head, bytes)
}

/// The status of a request's refusal; 0 for complete, -1 for incomplete.
func status(_ text: String, limits: HTTP1Limits = HTTP1Limits()) -> Int {
  switch parseRequest([UInt8](text.utf8), limits: limits).result {
  case .complete: 0
  case .needMore: -1
  case .refused(let refusal): refusal.status
  }
}

/// Changes a few bytes at random: other values, gaps, repeats and pieces moved.
func mutate(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
  var bytes = bytes
  let spice: [UInt8] = [0x00, 0x09, 0x0a, 0x0d, 0x20, 0x2c, 0x3a, 0x3b, 0x7f, 0x80]
  for _ in 0...max(0, random.number(in: -3...3)) where !bytes.isEmpty {
    let at = random.number(in: 0...(bytes.count - 1))
    switch random.number(in: 0...4) {
    case 0: bytes[at] = UInt8(random.number(in: 0...255))
    case 1: bytes.insert(spice[random.number(in: 0...(spice.count - 1))], at: at)
    case 2: bytes.remove(at: at)
    case 3: bytes[at] = spice[random.number(in: 0...(spice.count - 1))]
    default:
      let end = random.number(in: at...min(bytes.count - 1, at + 30))
      bytes.insert(contentsOf: bytes[at...end], at: random.number(in: 0...(bytes.count - 1)))
    }
  }
  return bytes
}
