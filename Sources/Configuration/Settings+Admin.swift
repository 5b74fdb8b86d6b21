public import Base

extension Settings {
  /// Statistics, metrics and changes, on a listener of their own.
  public struct Admin: Equatable, Sendable {
    /// An address, never a name; port 0 leaves the choice to the system.
    public var address = HostPort(loopback: 9180)
    /// Clients who may read; none twice.
    public var allow = [try? Network("127.0.0.0/8"), try? Network("::1/128")].compactMap { $0 }
    /// The file with what changes need, as `Cache.path` is; nil where nothing may be changed.
    public var tokenFile: String?
    /// Names, in lower case, that the address may be asked by beside localhost and addresses; none twice.
    public var hosts: [String] = []
    /// Where changes are noted, as `Cache.path` is; nil for nowhere.
    public var auditLog: String? = "var/audit.log"
  }

  /// Statistics for clients of the public listeners.
  public struct CacheStats: Equatable, Sendable {
    /// Clients who may see them; none where nobody may, and none twice.
    public var allow: [Network] = []
  }
}
