public import Base
internal import HTTP
public import IPFS

/// What a host is to this gateway.
///
/// Places are those in the bytes that were classified.
public enum HostKind: Equatable, Sendable {
  /// A path gateway: `/ipfs/…` and `/ipns/…` on it are content.
  case path
  /// A gateway whose content has hosts of its own: `/ipfs/<cid>` on it is redirected to
  /// `<cid>.ipfs.` and `gateway`, which is the host as it was sent, its port included.
  ///
  /// With `isSite` all other paths are those of the DNSLink site of this name.
  case subdomains(gateway: ByteRange, isSite: Bool)
  /// `<label>.ipfs.<gateway>`: content that is a host of its own. The gateway includes the port.
  ///
  /// Below ipns the label may be several with dots between: a DNSLink name that is not inlined.
  case subdomain(ContentPath.Namespace, label: ByteRange, gateway: ByteRange)
  /// The same form on a host that no entry but `*` knows: for the upstream to judge, with the client's host.
  case foreignSubdomain
  /// A site: all of it is below `/ipns/` and this name, which has neither port nor final dot.
  case dnslink(name: ByteRange)
  /// A subdomain of this gateway, but its label is none that DNS could hold: 400.
  case invalidLabel
  /// No host of this gateway: 404.
  case unknown
}

/// Which hosts are gateways, and of which kind.
///
/// The more exact entry counts: a name before `*.example.com` before `*`; and what is listed as a host itself
/// is that, even if it looks like `<label>.ipfs.<gateway>`. Otherwise such a host belongs to the entry of its
/// gateway part: a subdomain if that has them, unknown if not (as Kubo does), since its path gateway is not
/// asked under that name. Below `*` without subdomains the upstream judges it.
///
/// A host that is an address has no subdomains and is no site, whatever the entry says.
public struct HostTable: Equatable, Sendable {
  public struct Entry: Hashable, Sendable {
    public var pattern: HostPattern
    /// Whether content has hosts below this one.
    public var subdomains: Bool
    /// Whether the host is a site by its DNSLink record.
    public var dnslink: Bool

    public init(_ pattern: HostPattern, subdomains: Bool = false, dnslink: Bool = false) {
      self.pattern = pattern
      self.subdomains = subdomains
      self.dnslink = dnslink
    }
  }

  /// Found by halving, so the bound is that of a file somebody still can keep.
  public static let maximumCount = 16_384

  private struct Flags: Equatable, Sendable {
    var subdomains: Bool
    var dnslink: Bool
  }

  /// The names of one kind of pattern, in order, with what they are.
  private struct Names: Equatable, Sendable {
    private var text: [UInt8] = []
    private var places: [ByteRange] = []
    private var flags: [Flags] = []

    init(_ entries: [(name: [UInt8], flags: Flags)]) {
      for entry in entries.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
        places.append(ByteRange(start: text.count, count: entry.name.count))
        text += entry.name
        flags.append(entry.flags)
      }
    }

    /// What a name is, in any case of letters; nil where it is not there.
    func find(_ name: RawSpan) -> Flags? {
      var low = 0
      var high = places.count
      let text = text.rawBytes
      while low < high {
        let middle = (low + high) / 2
        switch HostTable.order(name, text.bytes(places[middle])) {
        case 0: return flags[middle]
        case ..<0: high = middle
        default: low = middle + 1
        }
      }
      return nil
    }
  }

  private let exact: Names
  private let oneBelow: Names
  private let addresses: [NetworkAddress: Flags]
  private let all: Flags?

  /// Of entries with the same pattern the first counts, and no more than `maximumCount`.
  public init(_ entries: some Sequence<Entry>) {
    var exact: [(name: [UInt8], flags: Flags)] = []
    var oneBelow: [(name: [UInt8], flags: Flags)] = []
    var addresses: [NetworkAddress: Flags] = [:]
    var all: Flags?
    var seen: Set<HostPattern> = []
    for entry in entries.prefix(Self.maximumCount) where seen.insert(entry.pattern).inserted {
      let flags = Flags(subdomains: entry.subdomains, dnslink: entry.dnslink)
      switch entry.pattern {
      case .all: all = flags
      case .name(let name): exact.append((name, flags))
      case .oneBelow(let name): oneBelow.append((name, flags))
      case .address(let address): addresses[address] = flags
      }
    }
    self.exact = Names(exact)
    self.oneBelow = Names(oneBelow)
    self.addresses = addresses
    self.all = all
  }

  /// Every host is a path gateway, and what looks like a subdomain is the upstream's.
  public static let standard = HostTable([Entry(.all)])

  /// What a host is, given as a request names it; touches no heap.
  ///
  /// It comes with or without a port and a final dot, in any case of letters. An empty one (HTTP/1.0) is
  /// known to `*` alone.
  public func classify(host: RawSpan) -> HostKind {
    var end = Authority.hostEnd(host)
    if let address = Self.address(host.extracting(0..<end)) {
      return all != nil || addresses[address] != nil ? .path : .unknown
    }
    if end > 0, host.byte(end - 1) == UInt8(ascii: ".") { end -= 1 }
    let name = host.extracting(0..<end)
    // No name that DNS can hold is longer, and the search below takes its time for each label.
    guard (1...HostPattern.maximumBytes).contains(end) else { return all == nil ? .unknown : .path }
    if let flags = named(name) { return kind(flags, host, nameEnd: end) }
    // Where the label after `<label>.ipfs` begins, from the right: `docs.ipfs.tech.ipns.gateway`.
    var found: HostKind?
    var start = end
    while start > 0 {
      let dot = Self.lastDot(name, before: start)
      if dot < 0 { break }
      if start < end, let namespace = Self.namespace(name.extracting((dot + 1)..<start)) {
        let gateway = name.extracting((start + 1)..<end)
        let place = ByteRange(start: start + 1, count: host.byteCount - start - 1)
        if let flags = named(gateway) {
          guard flags.subdomains, Self.address(gateway) == nil else { return .unknown }
          return subdomain(namespace, name, labelEnd: dot, gateway: place)
        }
        if found == nil, let all {
          found =
            all.subdomains && Self.address(gateway) == nil
            ? subdomain(namespace, name, labelEnd: dot, gateway: place) : .foreignSubdomain
        }
      }
      start = dot
    }
    if let found { return found }
    guard let all else { return .unknown }
    return kind(all, host, nameEnd: end)
  }

  /// What a name is by an entry other than `*`.
  private func named(_ name: RawSpan) -> Flags? {
    if let flags = exact.find(name) { return flags }
    let dot = name.first(UInt8(ascii: "."), from: 0, to: name.byteCount)
    guard dot > 0, dot < name.byteCount else { return nil }
    return oneBelow.find(name.extracting((dot + 1)..<name.byteCount))
  }

  private func kind(_ flags: Flags, _ host: RawSpan, nameEnd: Int) -> HostKind {
    if flags.subdomains {
      return .subdomains(
        gateway: ByteRange(start: 0, count: host.byteCount), isSite: flags.dnslink)
    }
    return flags.dnslink ? .dnslink(name: ByteRange(start: 0, count: nameEnd)) : .path
  }

  private func subdomain(
    _ namespace: ContentPath.Namespace, _ name: RawSpan, labelEnd: Int, gateway: ByteRange
  ) -> HostKind {
    let label = name.extracting(0..<labelEnd)
    let isValid = namespace == .ipns ? HostPattern.isName(label) : HostLabel.isLabel(label)
    guard isValid else { return .invalidLabel }
    return .subdomain(namespace, label: ByteRange(start: 0, count: labelEnd), gateway: gateway)
  }

  // MARK: Bytes

  private static func address(_ host: RawSpan) -> NetworkAddress? {
    let end = host.byteCount
    guard end > 1 else { return nil }
    if host.byte(0) == UInt8(ascii: "[") {
      return host.byte(end - 1) == UInt8(ascii: "]")
        ? NetworkAddress(host.extracting(1..<(end - 1))) : nil
    }
    return NetworkAddress(host)
  }

  private static func namespace(_ label: RawSpan) -> ContentPath.Namespace? {
    guard label.byteCount == 4 else { return nil }
    if label.equalsIgnoringCase("ipfs") { return .ipfs }
    return label.equalsIgnoringCase("ipns") ? .ipns : nil
  }

  /// The offset of the last dot before an offset, or -1.
  private static func lastDot(_ text: RawSpan, before end: Int) -> Int {
    var offset = end - 1
    while offset >= 0, text.byte(offset) != UInt8(ascii: ".") { offset -= 1 }
    return offset
  }

  /// Below, at or above zero as a name of any case is before, at or behind a lower-case one.
  private static func order(_ name: RawSpan, _ known: RawSpan) -> Int {
    for offset in 0..<min(name.byteCount, known.byteCount) {
      let difference = Int(name.byte(offset).asciiLowercased) - Int(known.byte(offset))
      if difference != 0 { return difference }
    }
    return name.byteCount - known.byteCount
  }
}
