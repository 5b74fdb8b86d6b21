internal import Base
internal import IPFS

/// Writes a UnixFS tree as a TAR archive, below a name that is the root's CID.
///
/// As boxo does it: what goes wrong on the way is told in the stream, which then ends in order.
struct TarWalk {
  /// Deeper trees are not written, as with CARs.
  static let maximumDepth = CARWalk.maximumDepth

  private struct Pending {
    let cid: CID
    let path: [UInt8]
    let depth: Int
  }

  private let reader: BlockReader
  private let base: [UInt8]
  /// The time of what has none.
  private let now: Int64
  /// What is to be written, the next one last.
  private var pending: [Pending]
  /// The file that is being written.
  private var slice: FileSlice?
  private var sliceBytes: Int64 = 0
  private var isDone = false

  init(_ reader: BlockReader, root: CID, now: Int64) {
    self.reader = reader
    self.now = now
    base = Array("\(root)".utf8)
    pending = [Pending(cid: root, path: base, depth: 0)]
  }

  /// Appends the next piece; false at the end, where nothing was appended.
  mutating func next(into output: inout ByteBuffer) -> Bool {
    if isDone { return false }
    do throws(ResolveFailure) {
      if slice != nil {
        try step(&output)
      } else if let member = pending.popLast() {
        try append(member, to: &output)
      } else {
        end(&output)
      }
    } catch {
      fail(OriginRules.rejection(error).sentence, &output)
    }
    return true
  }

  private mutating func step(_ output: inout ByteBuffer) throws(ResolveFailure) {
    if let next = try slice?.next() {
      output.append(next.block.rawBytes.extracting(next.bytes))
    } else {
      TarHeader.pad(Int(sliceBytes % Int64(TarHeader.blockBytes)), to: &output)
      slice = nil
    }
  }

  private mutating func append(
    _ member: Pending, to output: inout ByteBuffer
  ) throws(ResolveFailure) {
    guard member.path.starts(with: base), member.depth <= Self.maximumDepth else {
      fail("relative UnixFS paths outside the root are now allowed, use CAR instead", &output)
      return
    }
    let resolver = Resolver(reader)
    let about = resolver.attributes(member.cid)
    var header = TarHeader(
      kind: .file, path: member.path, mode: 0o644, modified: about.modified ?? now)
    switch try resolver.entity(member.cid) {
    case .file(let size):
      header.size = size
      slice = FileSlice(reader, file: member.cid, range: 0..<size)
      sliceBytes = size
    case .symlink(let target):
      header.kind = .symlink
      header.link = target
      header.mode = 0o777
    case .directory:
      header.kind = .directory
      header.mode = 0o755
      for entry in try resolver.entries(member.cid).reversed() {
        let path = Self.join(member.path, entry.name)
        pending.append(Pending(cid: entry.cid, path: path, depth: member.depth + 1))
      }
    }
    if let mode = about.mode, mode != 0 { header.mode = mode }
    header.append(to: &output)
  }

  private mutating func end(_ output: inout ByteBuffer) {
    output.append([UInt8](repeating: 0, count: 2 * TarHeader.blockBytes))
    isDone = true
  }

  /// Tells the client what went wrong; an archive whose last file is whole is closed nonetheless.
  private mutating func fail(_ sentence: String, _ output: inout ByteBuffer) {
    output.append(Array(sentence.utf8))
    if slice == nil { end(&output) }
    isDone = true
  }

  /// A path with a name behind it, cleaned: a name in a directory is any bytes.
  static func join(_ path: [UInt8], _ name: [UInt8]) -> [UInt8] {
    let slash = UInt8(ascii: "/")
    var segments: [ArraySlice<UInt8>] = []
    for segment in (path + [slash] + name).split(separator: slash) {
      if segment.elementsEqual("..".utf8), let last = segments.last, !last.elementsEqual("..".utf8)
      {
        segments.removeLast()
      } else if !segment.elementsEqual(".".utf8) {
        segments.append(segment)
      }
    }
    return Array(segments.joined(separator: [slash]))
  }
}
