internal import Base
internal import COpenSSL

/// An authority's word on a certificate, as it is stapled (OCSP, RFC 6960), and until when it counts.
struct Staple {
  let path: String
  /// DER, as clients get it.
  let bytes: [UInt8]
  /// Seconds since 1970 from which on there is a newer word (`nextUpdate`, section 4.2.2.1); never where none is named.
  let end: Int64

  /// Reads an answer that says something; whether it fits the certificate is its authority's affair.
  init(path: String) throws(TLSError) {
    ERR_clear_error()
    let read = try LoadedCertificate.contents(of: path)
    let end = read.withReadable { span in
      unsafe span.withUnsafeBytes { raw -> Int64? in
        var place = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let answer = unsafe d2i_OCSP_RESPONSE(nil, &place, raw.count) else { return nil }
        defer { unsafe OCSP_RESPONSE_free(answer) }
        guard unsafe OCSP_response_status(answer) == OCSP_RESPONSE_STATUS_SUCCESSFUL else {
          return nil
        }
        return unsafe Self.end(of: answer)
      }
    }
    guard let end else { throw .latest("\(path): it is no successful OCSP answer (in DER)") }
    self.path = path
    self.end = end
    bytes = read.withReadable { $0.array }
  }

  func hasEnded(at wall: Int64) -> Bool { wall >= end }

  /// The earliest `nextUpdate` of all that an answer speaks of; nil where it cannot be read.
  private static func end(of answer: OpaquePointer) -> Int64? {
    guard let basic = unsafe OCSP_response_get1_basic(answer) else { return nil }
    defer { unsafe OCSP_BASICRESP_free(basic) }
    var earliest = Int64.max
    for index in 0..<(unsafe OCSP_resp_count(basic)) {
      var next: UnsafeMutablePointer<ASN1_GENERALIZEDTIME>?
      guard let single = unsafe OCSP_resp_get0(basic, index),
        unsafe OCSP_single_get0_status(single, nil, nil, nil, &next) >= 0
      else { return nil }
      guard let next = unsafe next else { continue }
      let end = unsafe Int64(openssl_seconds(next))
      guard end > 0 else { return nil }
      earliest = min(earliest, end)
    }
    return earliest
  }
}
