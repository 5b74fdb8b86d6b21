import ArgumentParser

/// The command line: one program, a command for each thing it does.
@main
struct Sluice: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "sluice",
    abstract: "A caching gateway in front of IPFS nodes.",
    subcommands: [
      Serve.self, Check.self, StatsCommand.self, WhyCommand.self, PurgeCommand.self,
      DrainCommand.self, UndrainCommand.self, OriginCommand.self, Demo.self, Version.self,
    ])
}

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print the version.")

  func run() { print("sluice \(Sluice.version)") }
}
