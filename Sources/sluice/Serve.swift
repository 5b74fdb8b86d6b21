import ArgumentParser
import Configuration
import System
import TLS

/// `sluice serve`: the gateway itself, until it is told to stop.
struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the gateway.",
    discussion: """
      SIGTERM and SIGINT stop it in order: no new connections, answers under way go to their end. A \
      second one ends it at once. SIGUSR1 reopens the access log.
      """)

  @Option(name: .shortAndLong, help: "The settings.")
  var config = "gateway.conf"

  func run() throws {
    // Before anything uses OpenSSL.
    TLSMemory.keepBlocks()
    let file = try SettingsLoader.file(config)
    try Preflight.refuseLoops(file)
    let settings = file.settings
    // First of all, so that every thread inherits the mask.
    let signals = try Program.signals()
    let service = try Service.start(settings)
    service.runUntilStopped(signals)
  }
}
