import ArgumentParser
import Configuration

/// `sluice check`: whether the settings are right, without starting anything.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check a settings file and say what is wrong with it, by line and column.",
    discussion: """
      It reads what serve would read, and ends with 1 where serve would not start. It listens nowhere, so a \
      port that is in use is for serve to find. Run it as the user that serves, who may read and write other \
      files than you.
      """)

  @Option(name: .shortAndLong, help: "The settings.")
  var config = "gateway.conf"

  @Flag(help: "Print all settings as they are in force.")
  var print = false

  func run() throws {
    let file = try SettingsLoader.file(config)
    let findings = Preflight.findings(file)
    for finding in findings { Program.tell("\(finding)") }
    if findings.contains(where: \.isError) { throw ExitCode.failure }
    if print {
      Swift.print(file.settings.printed)
    } else {
      Swift.print("\(config): \(findings.isEmpty ? "all is well" : "can be used")")
    }
  }
}
