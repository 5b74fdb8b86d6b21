internal import Base
internal import IPFS

/// What an origin answers for beside the blocks of its CAR files.
public struct OriginOptions: Sendable {
  /// Names below `/ipns`; one that is asked for as a host is answered like a DNSLink site.
  public var names: [OriginName] = []
  /// IPNS records, each as its file holds it, and the key that the file's name gives.
  public var records: [OriginRecord] = []
  /// Hosts below which each root has a host of its own, as `dweb.link` does; with a port where one is meant.
  public var subdomainHosts: [String] = []
  /// Whether blocks are converted between dag-pb, dag-cbor and dag-json (Kubo's
  /// `Gateway.AllowCodecConversion`); else what does not fit is 406.
  public var convertsCodecs = false

  public init() {}
}

/// An IPNS record and the name that it belongs to.
public struct OriginRecord: Equatable, Sendable {
  /// The key in any spelling.
  public var key: String
  /// Protobuf, as `application/vnd.ipfs.ipns-record` is.
  public var bytes: [UInt8]

  public init(key: String, bytes: [UInt8]) {
    self.key = key
    self.bytes = bytes
  }

  /// Reads `FILE`, named as gateways have it saved, `<key>.ipns-record`, or `KEY=FILE`.
  ///
  /// What is in the file is not looked at: one that is not valid is answered as a gateway would.
  public init(parsing text: String) throws(OriginName.Malformed) {
    var path = text[...]
    if let equals = text.firstIndex(of: "=") {
      key = String(text[..<equals])
      path = text[text.index(after: equals)...]
    } else {
      let name = text.split(separator: "/").last ?? ""
      key = String(name.prefix { $0 != "." && $0 != "_" })
    }
    guard PeerKey.parse(Array(key.utf8)) != nil else {
      throw OriginName.Malformed(sentence: "\(text): \(key) is no key; say KEY=FILE")
    }
    do throws(Fault) {
      // A byte more than a record may have, so that it is seen to be too long.
      bytes = try CARSource(path: String(path)).start(count: IPNSRecord.maximumBytes + 1)
    } catch {
      throw OriginName.Malformed(sentence: "\(path): cannot be read")
    }
  }
}

/// A name that leads to content without a record: what DNSLink or a resolver would say.
public struct OriginName: Equatable, Sendable {
  /// What stands in the command line's text is no name.
  public struct Malformed: Error, Equatable, Sendable {
    public var sentence: String
  }

  /// A DNS name or a key.
  public var name: String
  /// `/ipfs/<cid>[/path]`, or `/ipns/<name>[/path]` for another name.
  public var target: String
  /// Seconds for which the answer holds; nil where that is not known.
  public var ttl: Int64?

  public init(name: String, target: String, ttl: Int64? = nil) {
    self.name = name
    self.target = target
    self.ttl = ttl
  }

  /// Reads `NAME=/ipfs/<cid>[,ttl=60s]`; units are s, m and h, seconds without one.
  public init(parsing text: String) throws(Malformed) {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      throw Malformed(sentence: "\(text): a name is NAME=/ipfs/<cid>[,ttl=60s]")
    }
    name = String(text[..<equals])
    var rest = text[text.index(after: equals)...]
    if let comma = rest.lastIndex(of: ","), rest[comma...].hasPrefix(",ttl=") {
      guard let ttl = Self.seconds(rest[comma...].dropFirst(5)) else {
        throw Malformed(sentence: "\(text): the ttl is a number with s, m or h, as 60s")
      }
      self.ttl = ttl
      rest = rest[..<comma]
    }
    target = String(rest)
    guard (try? RequestedPath(Array(target.utf8))) != nil else {
      throw Malformed(sentence: "\(text): \(target) is no path below /ipfs or /ipns")
    }
  }

  private static func seconds(_ text: Substring) -> Int64? {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600]
    let unit = text.last.flatMap { units[$0] }
    guard let count = Int64(unit == nil ? text : text.dropLast()), count >= 0 else { return nil }
    let (seconds, isTooLarge) = count.multipliedReportingOverflow(by: unit ?? 1)
    return isTooLarge ? nil : seconds
  }
}
