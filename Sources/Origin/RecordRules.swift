internal import Base
internal import CXXHash
internal import HTTP

/// IPNS records as they are.
extension OriginRules {
  func record(
    _ request: OriginRequest, _ path: RequestedPath, _ now: Int64
  ) throws(Rejection) -> OriginAnswer {
    guard case .name(let name) = path.root else {
      throw Rejection(400, "an IPNS record exists below /ipns only")
    }
    guard path.segments.isEmpty else { throw Rejection(400, "cannot find ipns key for subpath") }
    guard PeerKey.parse(name) != nil else {
      throw Rejection(400, "an IPNS record exists for a key only")
    }
    let entry: NameTable.Entry
    do throws(NameFailure) {
      entry = try names.entry(name)
      if let expiry = entry.expiry, expiry <= now { throw .expired(name) }
    } catch {
      throw Self.rejection(error, path)
    }
    guard let record = entry.record else {
      throw Rejection(500, "this origin has a name for that key, but no record")
    }
    let lifetime = Lifetime.name(ttl: entry.ttl, left: entry.expiry.map { $0 - now })
    // Not quoted, as boxo sends it: no client's If-None-Match can ever name it.
    let hash = unsafe record.withUnsafeBytes { unsafe XXH64($0.baseAddress, $0.count, 0) }
    let etag = String(hash, radix: 32)
    var fields: [(token: FieldToken, value: String)] = [(.etag, etag)]
    if let kept = lifetime.content {
      fields.append((.cacheControl, kept))
    } else {
      fields.append((.lastModified, Self.date(now)))
    }
    if let list = request.ifNoneMatch,
      Etag.weakMatch(list: list.rawBytes, etag: Array(etag.utf8).rawBytes)
    {
      return OriginAnswer(304, .absent, fields)
    }
    var answer = OriginAnswer(200, .bytes(record), fields)
    answer.add(.contentType, ContentFormat.Kind.ipnsRecord.mediaType)
    let key = String(decoding: name, as: UTF8.self)
    let saved = request.fileName ?? Array("\(key).ipns-record".utf8)
    answer.add(.contentDisposition, Self.disposition(attached: true, saved))
    answer.add(.xContentTypeOptions, "nosniff")
    return answer
  }
}
