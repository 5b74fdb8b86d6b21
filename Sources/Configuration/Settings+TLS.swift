public import Base

extension Settings {
  /// TLS towards clients and servers.
  public struct TLS: Equatable, Sendable {
    public var certificates: [Certificate] = []
    public var minVersion = Version.tls12
    /// Zero says nothing of it.
    public var hsts = Interval.zero
    /// A PEM file; nil for the system's store.
    public var authorities: String?

    public enum Version: String, CaseIterable, Sendable {
      case tls12 = "1.2"
      case tls13 = "1.3"
    }
  }

  /// A certificate with its key; paths as `Cache.path` is.
  public struct Certificate: Hashable, Sendable {
    public var certificate: String
    public var key: String
    /// An OCSP answer; nil for none.
    public var staple: String?
  }

  /// What listeners need of other settings.
  func checkListeners(_ reader: inout SettingsReader) {
    if trustedProxies.isEmpty, let index = listen.firstIndex(where: \.hasProxyHeader) {
      reader.complain(
        "listen[\(index)].proxy_protocol: it counts from trusted proxies only, and there are none; "
          + "expected trusted_proxies",
        atSetting: "listen[\(index)].proxy_protocol")
    }
    if tls.certificates.isEmpty, let index = listen.firstIndex(where: \.isSecure) {
      reader.complain(
        "listen[\(index)].tls: there is no certificate; expected tls.certificates",
        atSetting: "listen[\(index)].tls")
    }
  }
}
