import Base

/// Settings of TLS, towards clients and towards servers.
extension SettingsTable {
  static let tls: [Setting<Settings>] = [
    Setting(
      "tls.certificates", listOf: \.tls.certificates, certificate,
      blank: Settings.Certificate(certificate: "", key: ""), mayBeEmpty: true,
      "The certificates of listeners with tls; the first one is for names that no other has."),
    Setting(
      "tls.min_version", \.tls.minVersion, .choice,
      "The oldest version of TLS that clients may speak."),
    // Two years are what browsers' lists ask for at least one of.
    Setting(
      "tls.hsts", \.tls.hsts, .durationOrOff(.seconds(1) ... .seconds(3650 * 86_400)),
      "For how long browsers use nothing but https with a host (Strict-Transport-Security)."),
    Setting(
      "tls.ca_file", \.tls.authorities, .optionalPath,
      "The authorities that https servers are believed by; off for the system's."),
  ]

  static let redirect: [Setting<Settings>] = [
    Setting(
      "redirect.https", \.redirect.https, .flag,
      "Whether clients that came without TLS are sent to https."),
    Setting(
      "redirect.port", \.redirect.port, .count(1...65_535),
      "The port that they are sent to, as clients see it."),
    Setting(
      "redirect.acme_directory", \.redirect.webroot, .optionalPath,
      "The webroot of certbot, lego and the like, for their challenges."),
  ]

  static let certificate: [Setting<Settings.Certificate>] = [
    Setting(
      "certificate", \.certificate, .path, required: true,
      "A PEM file: the certificate, and those that lead to its root."),
    Setting("key", \.key, .path, required: true, "A PEM file with its private key."),
    Setting(
      "ocsp", \.staple, .optionalPath,
      "A file with the authority's OCSP answer in DER, to be stapled."),
  ]
}
