import Base
import Configuration
import Logging
import Server
import System
import TLS

/// TLS towards clients, made from settings.
extension Service {
  /// The certificates of listeners; nil where there are none.
  static func certificates(_ settings: Settings) throws -> CertificateStore? {
    guard !settings.tls.certificates.isEmpty else { return nil }
    do throws(TLSError) {
      return try CertificateStore(
        certificateOptions(settings.tls), now: Clock.now.nanoseconds / 1_000_000_000,
        wall: Clock.wallSeconds)
    } catch {
      throw Program.fail("tls.certificates: \(error.sentence)")
    }
  }

  static func certificateOptions(_ tls: Settings.TLS) -> CertificateStore.Options {
    CertificateStore.Options(
      certificates: tls.certificates.map {
        CertificateFiles(certificate: $0.certificate, key: $0.key, staple: $0.staple)
      },
      minVersion: tls.minVersion == .tls13 ? .tls13 : .tls12,
      protocols: ["h2", "http/1.1", "http/1.0"])
  }

  static func traits(_ listen: Settings.Listen) -> ListenerTraits {
    ListenerTraits(isSecure: listen.isSecure, hasProxyHeader: listen.hasProxyHeader)
  }

  /// How long before its end a certificate is told of: those who renew do it a month before.
  static let noticeDays: Int64 = 14

  /// What is to be said of a certificate's end; nil where it is far off.
  static func sentence(on end: CertificateEnd, now: Int64) -> String? {
    let left = end.seconds - now
    guard left < noticeDays * 86_400 else { return nil }
    if left <= 0 { return "has expired: browsers refuse it" }
    return "expires within \((left + 86_399) / 86_400) days"
  }

  static func tellEnds(of store: CertificateStore, _ log: Logger) {
    for end in store.current.ends {
      guard let sentence = sentence(on: end, now: Clock.wallSeconds) else { continue }
      log.warning("a certificate \(sentence)", metadata: ["certificate": .string(end.path)])
    }
  }

  static func tell(
    _ finding: CertificateStore.Finding?, of store: CertificateStore, _ log: Logger
  ) {
    switch finding {
    case .used(let count):
      log.notice(
        "other certificates are in use from now on",
        metadata: ["certificates": .stringConvertible(count)])
      tellEnds(of: store, log)
    case .unusable(let why):
      log.error(
        "certificates have changed and cannot be used: the old ones stay",
        metadata: ["why": .string(why)])
    case nil: return
    }
  }

  /// - Parameter ended: files of OCSP answers.
  static func tell(ended: [String], _ log: Logger) {
    for path in ended {
      log.warning(
        "an OCSP answer has ended and is not stapled until a newer one is there",
        metadata: ["file": .string(path)])
    }
  }
}
