/// Which certificates answer for a name: exact ones first, then `*.` for one label (RFC 6125, section 6.4.3).
///
/// A name may have several, one for each kind of key. Where a name has two of one kind, the first counts.
struct CertificateNames {
  /// For each set of certificates that some name has: their places in the list, in order.
  private(set) var sets: [[Int]] = []
  private var places: [[UInt8]: Int] = [:]

  /// - Parameter certificates: For each its names in lower case, and the kind of its key.
  init(_ certificates: [(names: [[UInt8]], kind: Int32)]) {
    // The set of who asks for no name, or for one that nobody has: of the first, and those that have all its names.
    var members: [[UInt8]: [Int]] = [:]
    for (index, certificate) in certificates.enumerated() {
      for name in certificate.names {
        let present = members[name, default: []]
        if !present.contains(where: { certificates[$0].kind == certificate.kind }) {
          members[name] = present + [index]
        }
      }
    }
    var first = [0]
    if let names = certificates.first?.names {
      for (index, other) in certificates.enumerated().dropFirst()
      where !names.isEmpty && names.allSatisfy(other.names.contains)
        && !first.contains(where: { certificates[$0].kind == other.kind })
      {
        first.append(index)
      }
    }
    sets = [first]
    for (name, indices) in members.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      if let known = sets.firstIndex(of: indices) {
        places[name] = known
      } else {
        places[name] = sets.count
        sets.append(indices)
      }
    }
  }

  /// The set for a name that a client asks for, in any case of letters; nil where nobody has it.
  func set(for name: [UInt8]) -> Int? {
    var name = Self.lowercased(name)
    if name.last == UInt8(ascii: ".") { name.removeLast() }
    if let exact = places[name] { return exact }
    guard let dot = name.firstIndex(of: UInt8(ascii: ".")), dot > 0 else { return nil }
    return places[[UInt8(ascii: "*")] + name[dot...]]
  }

  static func lowercased(_ name: [UInt8]) -> [UInt8] {
    name.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
  }
}
