/// The hosts of tests that ask a gateway and the origin behind it for the same.
public enum TestHosts {
  /// Below it each root has a host of its own.
  public static let subdomains = "dweb.test"

  /// Entries for `SluiceProcess.Settings.hosts`: every host is a path gateway, but this one and the
  /// names below `example`, which are sites.
  public static let entries = [
    "{ name: \"*\" }", "{ name: \(subdomains), subdomains: true }",
    "{ name: \"*.example\", dnslink: true }",
  ]
}
