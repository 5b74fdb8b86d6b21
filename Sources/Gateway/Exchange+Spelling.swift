internal import Base
internal import Cache
internal import HTTP
internal import IPFS
internal import Router
internal import Server

/// What is made anew for each client: what is kept is one for all spellings of a request, but Etag,
/// X-Ipfs-Roots, names and types follow the client's own (gateway digest A2 and A6).
extension Exchange {
  // MARK: The root's spelling

  /// Whether the client wrote the root as version 0, `Qm…`; what is kept says version 1.
  private var isVersion0: Bool { !isPlain && asked?.isVersion0 ?? false }

  /// Gives an Etag as the client is to see it: where it names the root itself, in the client's version.
  func withSpelledEtag<Result>(_ kept: RawSpan, _ body: (RawSpan) -> Result) -> Result {
    guard isVersion0 else { return body(kept) }
    let spelled = respelled(kept, from: kept.hasPrefix("W/") ? 3 : 1)
    return body(spelled.rawBytes)
  }

  /// Repeats a field that was kept.
  func writeKeptField(_ name: RawSpan, _ value: RawSpan, on stream: ClientStream) {
    // Without a representation nothing is said of one.
    if !hasRepresentation, asked?.form == .car || !name.equalsIgnoringCase("x-ipfs-roots") {
      return
    }
    if name.equalsIgnoringCase("content-disposition") {
      writeDisposition(kept: value, on: stream)
    } else {
      writePassedField(name, value, on: stream)
    }
  }

  /// Repeats a field of an answer; the roots in the client's own spelling.
  func writePassedField(_ name: RawSpan, _ value: RawSpan, on stream: ClientStream) {
    if isVersion0, name.equalsIgnoringCase("x-ipfs-roots") {
      let spelled = respelled(value, from: 0)
      stream.field(bytes: name, spelled.rawBytes)
    } else {
      stream.field(bytes: name, value)
    }
  }

  /// The text with the root's version 1 name at an offset replaced by the client's version 0.
  private func respelled(_ text: RawSpan, from start: Int) -> [UInt8] {
    let whole = text.array
    let written = path.withReadable { $0.bytes(root).array }
    guard start <= whole.count, let cid = try? CID.parse(written.rawBytes) else { return whole }
    var name = ByteBuffer(capacity: 128)
    cid.version1.appendText(to: &name)
    let canonical = name.readable.array
    guard whole[start...].starts(with: canonical) else { return whole }
    return whole[..<start] + written + whole[(start + canonical.count)...]
  }

  // MARK: Types and names

  /// Whether a kept answer has a page about it besides, which who accepts HTML is given: blocks of data
  /// that are no files, whose Etags say their codec (gateway digest A1).
  func hasView(etag: RawSpan) -> Bool {
    guard let asked, asked.form == .file, !asked.isDownload else { return false }
    return etag.contains(".dag-")
  }

  /// The type of a file by the name that the query gives it, else the one that was kept.
  func writeContentType(_ kept: RawSpan, etag: RawSpan, on stream: ClientStream) {
    // Data, symbolic links and empty files are what they are whatever they are called.
    if let asked, !asked.filename.isEmpty, asked.hasTypeOfName, !kept.equals("inode/symlink"),
      !kept.equals(InlineContent.typeOfNothing),
      !Self.isData(etag: etag), let type = MediaType.sure(ofName: filename(asked))
    {
      stream.field(.contentType, type)
    } else if kept.byteCount > 0 {
      stream.field(.contentType, kept)
    }
  }

  /// Whether an Etag is that of a block of data, which is no file.
  private static func isData(etag: RawSpan) -> Bool {
    guard etag.byteCount > 2, etag.byte(0) == UInt8(ascii: "\"") else { return false }
    let inside = etag.extracting(1..<etag.byteCount - 1)
    let end = inside.first(UInt8(ascii: "."), from: 0, to: inside.byteCount)
    guard let cid = try? CID.parse(inside.extracting(0..<end)) else { return false }
    return cid.codec != .raw && cid.codec != .dagPB
  }

  /// Repeats a Content-Disposition, less what the client's query says otherwise.
  private func writeDisposition(kept: RawSpan, on stream: ClientStream) {
    guard let asked, asked.filename.isEmpty else { return }
    if asked.isDownload, kept.hasPrefix("inline") {
      stream.field(.contentDisposition) {
        $0.append("attachment" as StaticString)
        $0.append(kept.extracting(6..<kept.byteCount))
      }
    } else if isVersion0 {
      // The root's name stands in it twice.
      var spelled = kept.array
      for start in kept.nameStarts.reversed() {
        spelled = respelled(spelled.rawBytes, from: start)
      }
      stream.field(.contentDisposition, spelled.rawBytes)
    } else {
      stream.field(.contentDisposition, kept)
    }
  }

  /// Content-Disposition, where the client's query gives a name.
  func writeAskedName(on stream: ClientStream) {
    guard let asked, !asked.filename.isEmpty else { return }
    stream.field(.contentDisposition) {
      ContentDisposition.append(
        asked.isDownload || asked.form.isAttached ? .attachment : .inline,
        name: filename(asked), to: &$0)
    }
  }

  /// The address that gives the same answer without Accept.
  func writeContentLocation(on stream: ClientStream) {
    guard let asked, asked.isFromAccept else { return }
    let location = text.withReadable { text in
      ContentLocation.of(text.bytes(target), form: asked.form, selection: asked.selection)
    }
    stream.field(.contentLocation, location.rawBytes)
  }

  private func filename(_ asked: ContentRequest) -> [UInt8] {
    text.withReadable { PercentCoding.query($0.bytes(asked.filename)) }
  }
}

extension ContentRequest {
  /// Whether an answer's head has fields that are made for each request.
  var needsOwnFields: Bool { isFromAccept || !filename.isEmpty }
}

extension ContentForm {
  /// Whether it is saved rather than shown, whoever asks.
  fileprivate var isAttached: Bool {
    switch self {
    case .file, .json, .dagJSON: false
    default: true
    }
  }
}

extension RawSpan {
  /// Where the two names of a Content-Disposition begin.
  fileprivate var nameStarts: [Int] {
    let quote = first(UInt8(ascii: "\""), from: 0, to: byteCount)
    let tick = first(UInt8(ascii: "'"), from: 0, to: byteCount)
    return [quote + 1, tick + 2].filter { $0 < byteCount }
  }
}
