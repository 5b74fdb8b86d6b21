import Admission
import ArgumentParser
import Base
import Gateway
import IPFS
import System

/// Measures what a denylist of ten million rules costs: its reading, its memory, a look-up, and a rule more.
///
///     swift build -c release --product DenylistLookUp && .build/release/DenylistLookUp
@main
struct DenylistLookUp: ParsableCommand {
  @Option(help: "Rules of a list.")
  var rules = 10_000_000

  @Option(help: "Where the list is written; it is removed in the end.")
  var file = "/tmp/sluice-bench.deny"

  func run() throws {
    for kind in Kind.allCases { try measure(kind) }
    try? Folder.remove(file: file)
  }

  private enum Kind: CaseIterable {
    /// `/ipfs/<cid>`
    case content
    /// `//<hash>`, as the Bad Bits list has them.
    case hashes
    /// `/ipfs/<cid>/*`
    case trees
    var name: String {
      switch self {
      case .content: "/ipfs/<cid>"
      case .hashes: "//<sha-256>"
      case .trees: "/ipfs/<cid>/*"
      }
    }
  }

  private func measure(_ kind: Kind) throws {
    let bytes = try write(kind)
    let before = Self.residentBytes()
    let began = Clock.now
    let watch = try DenylistWatch(
      paths: [file], readHeader: { _ in DenylistHeader() }, tell: { _ in })
    let read = (Clock.now - began).seconds
    let list = watch.denials.list
    let memory = watch.denials.files[0].bytes
    let resident = Self.residentBytes() - before
    let root = try time(list, path: "")
    let below = try time(list, path: "/some/where/below.html")

    // A rule more, as an operator adds it, from its last byte to the list that has it.
    let rule = try Self.cid(Self.random(.max))
    try Array("/ipfs/\(rule)\n".utf8).rawBytes.write(to: file, at: bytes)
    let appended = Clock.now
    watch.look()
    let took = Clock.now - appended
    guard watch.denials.list.denial(of: rule, path: RawSpan()) != nil else {
      throw ValidationError("the appended rule is not there")
    }
    let per = { (bytes: Int) in Double(bytes * 10 / rules) / 10 }
    print(
      "\(rules) rules \(kind.name): read in \(read) s, \(per(memory)) bytes a rule "
        + "(\(per(resident)) of the process); \(root) ns for a CID, \(below) ns for a path below "
        + "one; a rule more in \(took.nanoseconds / 1_000) µs")
  }

  /// The best of seven rounds over content that no rule names.
  private func time(_ list: Denylist, path: String) throws -> Int {
    let path = Array(path.utf8)
    let cids = try (0..<min(rules, 1 << 18)).map {
      try Self.cid(Self.random(UInt64(1) << 40 + UInt64($0)))
    }
    var best = Double.infinity
    var found = 0
    for _ in 0..<7 {
      let start = Clock.now
      for cid in cids where list.denial(of: cid, path: path.rawBytes) != nil { found += 1 }
      best = min(best, (Clock.now - start).seconds / Double(cids.count))
    }
    guard found == 0 else { throw ValidationError("\(found) that no rule names are denied") }
    return Int(best * 1e9)
  }

  /// Writes a list; how many bytes it has.
  private func write(_ kind: Kind) throws -> Int {
    try? Folder.remove(file: file)
    let output = try File(path: file, .create)
    var text = ByteBuffer(capacity: 2 << 20)
    var offset = 0
    for number in 0..<rules {
      let digest = Self.random(UInt64(number))
      switch kind {
      case .content, .trees:
        text.append("/ipfs/" as StaticString)
        try Self.cid(digest).appendText(to: &text)
        if kind == .trees { text.append("/*" as StaticString) }
      case .hashes:
        text.append("//" as StaticString)
        for byte in digest {
          text.append(hex: UInt64(byte >> 4))
          text.append(hex: UInt64(byte & 15))
        }
      }
      text.append(UInt8(ascii: "\n"))
      if text.count > 1 << 20 || number == rules - 1 {
        try output.write(at: offset, text.readable)
        offset += text.count
        text.clear()
      }
    }
    return offset
  }

  private static func random(_ seed: UInt64) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    return (0..<4).flatMap { _ in
      let word = random.next()
      return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
    }
  }

  private static func cid(_ digest: [UInt8]) throws -> CID {
    try CID(codec: .raw, hash: .sha2_256, digest: digest.rawBytes)
  }

  /// The process's memory now.
  private static func residentBytes() -> Int {
    var text = ByteBuffer(capacity: 256)
    do throws(Fault) {
      let file = try File(path: "/proc/self/statm", .read)
      _ = try unsafe text.fill(atLeast: 128) { room throws(Fault) in
        try unsafe file.read(at: 0, into: room)
      }
    } catch {
      return 0
    }
    let words = text.readable.text.split(separator: " ")
    return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * 4096
  }
}

extension RawSpan {
  fileprivate func write(to path: String, at offset: Int) throws {
    try File(path: path, .readWrite).write(at: offset, self)
  }
}
