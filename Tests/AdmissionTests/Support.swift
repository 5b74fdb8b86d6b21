import Admission
import Base
import IPFS

/// A list of files with these texts.
func denylist(_ texts: String..., key: DenyKey = DenyKey()) -> Denylist {
  Denylist(texts.map { rules($0, key: key) }, key: key, generation: 1)
}

/// The rules of a text, its header left out.
func rules(_ text: String, key: DenyKey) -> DenyRules {
  var reader = DenylistText(expecting: text.count / 40 + 8, key: key)
  let bytes = Array(text.utf8)
  var rest = bytes
  if let header = DenylistText.header(in: bytes.rawBytes) {
    reader.take(DenylistHeader(), bytes: header.end, lines: header.lines)
    rest = Array(bytes[header.end...])
  }
  let taken = reader.read(rest.rawBytes)
  reader.readTail(Array(rest[taken...]).rawBytes)
  return reader.rules
}

extension Denylist {
  /// Whether a path is denied as paths are resolved, the root's own block left out; nil for a path that is none.
  func denies(path: String) -> Bool? {
    var decoded = ByteBuffer(capacity: 256)
    guard let content = try? ContentPath.parse(Array(path.utf8).rawBytes, decoded: &decoded)
    else { return nil }
    let remainder = decoded.readable.bytes(content.remainder)
    let finding =
      content.cid.map { rule(of: $0, path: remainder) }
      ?? rule(of: DenyName(decoded.readable.bytes(content.root)), path: remainder)
    return finding.map { !$0.mark.allows } ?? false
  }

  func denies(block text: String) -> Bool {
    guard let cid = cid(text) else { return false }
    return denial(of: cid, path: RawSpan()) != nil
  }
}

func cid(_ text: String) -> CID? { try? CID.parse(Array(text.utf8).rawBytes) }

func parse(_ line: String) throws(DenyRuleError) -> DenyRule? {
  try DenyRule.parse(Array(line.utf8).rawBytes)
}
