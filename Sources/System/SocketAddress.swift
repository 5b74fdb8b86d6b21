public import Base
internal import CLinux

/// An IPv4 or IPv6 address with a port, as the kernel takes it.
public struct SocketAddress: Hashable, Sendable {
  /// The kernel's form (`sockaddr_in` or `sockaddr_in6`), 28 bytes, zero-filled.
  private var words: InlineArray<7, UInt32>
  private var length: UInt32

  /// An address from its numeric text, without brackets; nil where it is neither IPv4 nor IPv6.
  public init?(host: String, port: UInt16) {
    var raw = linux_address()
    let parsed = unsafe host.withCString { text in
      unsafe linux_address_parse(text, port, &raw)
    }
    guard parsed == 0 else { return nil }
    self.init(raw: raw)
  }

  /// An address of a simulated network: 10.x.y.z with the number's low 24 bits.
  public init(simulated number: Int, port: UInt16) {
    let host = "10.\(number >> 16 & 0xff).\(number >> 8 & 0xff).\(number & 0xff)"
    self = SocketAddress(host: host, port: port) ?? SocketAddress(raw: linux_address())
  }

  init(raw: linux_address) {
    words = unsafe unsafeBitCast(raw.bytes, to: InlineArray<7, UInt32>.self)
    length = raw.length
  }

  /// No address: of a peer that the kernel did not name.
  public static var none: SocketAddress { SocketAddress(raw: linux_address()) }

  /// The address without its port; nil of `none`.
  public var networkAddress: NetworkAddress? {
    // sockaddr_in has its address at byte 4, sockaddr_in6 at byte 8 (ip(7), ipv6(7)).
    switch length {
    case 16: return NetworkAddress(ipv4: UInt32(bigEndian: words[1]))
    case 28:
      func pair(_ index: Int) -> UInt64 {
        UInt64(UInt32(bigEndian: words[index])) << 32 | UInt64(UInt32(bigEndian: words[index + 1]))
      }
      return NetworkAddress(high: pair(2), low: pair(4))
    default: return nil
    }
  }

  var raw: linux_address {
    var raw = linux_address()
    unsafe withUnsafeMutableBytes(of: &raw.bytes) { room in
      for index in 0..<7 {
        unsafe room.storeBytes(of: words[index], toByteOffset: index * 4, as: UInt32.self)
      }
    }
    raw.length = length
    return raw
  }

  /// `1.2.3.4:80` or `[::1]:80`.
  public var description: String { text(withPort: true) }
  /// `1.2.3.4` or `::1`.
  public var host: String { text(withPort: false) }

  private func text(withPort: Bool) -> String {
    var raw = raw
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 64) { room, count in
      let written = unsafe room.withMemoryRebound(to: CChar.self) { chars in
        unsafe linux_address_text(&raw, withPort, chars.baseAddress, 64)
      }
      count = max(0, min(Int(written), 63))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The addresses of a host name, by the system's resolver.
  ///
  /// Blocks: not for a worker.
  public static func resolve(host: String, port: UInt16) -> Result<[SocketAddress], ResolveError> {
    if let address = SocketAddress(host: host, port: port) { return .success([address]) }
    var raws = [linux_address](repeating: linux_address(), count: 16)
    let found = unsafe host.withCString { name in
      unsafe raws.withUnsafeMutableBufferPointer { room in
        unsafe linux_resolve(name, port, room.baseAddress, Int32(room.count))
      }
    }
    if found < 0 { return .failure(ResolveError(code: found)) }
    return .success(raws.prefix(Int(found)).map(SocketAddress.init(raw:)))
  }

  /// Why a name has no address, in the resolver's words.
  public struct ResolveError: Error, Sendable {
    let code: Int32
    public var sentence: String {
      guard let text = unsafe linux_resolve_error(code) else { return "unknown error" }
      return unsafe String(cString: text)
    }
  }

  public static func == (left: SocketAddress, right: SocketAddress) -> Bool {
    guard left.length == right.length else { return false }
    for index in 0..<7 where left.words[index] != right.words[index] { return false }
    return true
  }

  public func hash(into hasher: inout Hasher) {
    for index in 0..<7 { hasher.combine(words[index]) }
  }
}
