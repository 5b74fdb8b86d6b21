internal import CXXHash

extension CARParameters {
  /// The Etag of a CAR, as gateways make it: weak, of the root, the path and what differs from the defaults.
  ///
  /// The hash is boxo's: XXH64 in base 32 of the path and the parameters (gateway digest A2).
  ///
  /// - Parameter path: the content path, decoded, from `/ipfs/` on.
  public func etag(root: CID, path: [UInt8]) -> String {
    let key = path + identity
    let hash = unsafe key.withUnsafeBytes { unsafe XXH64($0.baseAddress, $0.count, 0) }
    return "W/\"\(root).car.\(String(hash, radix: 32))\""
  }

  /// What differs from the defaults, as boxo writes it into the hash.
  private var identity: [UInt8] {
    var identity: [UInt8] = []
    func append(_ name: String, _ value: StaticString) {
      identity.append(0)
      identity += "\(name)=\(value)".utf8
    }
    if scope != .all { append("scope", scope.name) }
    if order != .depthFirst { append("order", order.name) }
    if duplicates { append("dups", "y") }
    guard let bytes = entityBytes else { return identity }
    append("range", "")
    for number in [bytes.from, bytes.last].compactMap(\.self) {
      for shift in stride(from: Int64(0), to: 64, by: 8) {
        identity.append(UInt8(truncatingIfNeeded: number >> shift))
      }
    }
    return identity
  }
}
