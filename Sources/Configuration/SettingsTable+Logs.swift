import Base

/// Settings of logs and traces.
extension SettingsTable {
  static let logs: [Setting<Settings>] = [
    Setting(
      "logs.access.path", \.logs.access.target, .logTarget,
      "Where the access log goes, a line for each request."),
    Setting(
      "logs.access.format", \.logs.access.format, .choice,
      "The form of the access log's lines."),
    // Beyond a million no line of a day would be a sample.
    Setting(
      "logs.access.sample", \.logs.access.sample, .share(atMost: 1_000_000),
      "Which part of the hits that went well is logged; all else always is."),
    Setting(
      "logs.access.shorten_addresses", \.logs.access.shortensAddresses, .flag,
      "Whether clients' addresses lose their last part in the access log."),
    Setting(
      "logs.slow", \.logs.slow, .durationOrOff(.milliseconds(1) ... .seconds(86_400)),
      "Requests that take so long get a line on standard error that says where the time went."),
    Setting(
      "logs.level", \.logs.level, .choice,
      "The least serious message that is written to standard error."),
    Setting(
      "tracing.start", \.tracing.start, .flag,
      "Whether requests that bring no traceparent begin a trace."),
  ]
}

extension Kind<Settings.AccessLog.Target> {
  static let logTarget = Kind(
    expected: "\"-\" (standard output, in quotes), a file's path or off",
    read: { text in
      switch text {
      case "off": .off
      case "-": .standardOutput
      default: Kind<String>.isPath(text) ? .file(text) : nil
      }
    },
    show: { target in
      switch target {
      case .off: "off"
      case .standardOutput: "-"
      case .file(let path): path
      }
    })
}

extension Kind<Int> {
  /// One of so many, written `1/100`.
  static func share(atMost most: Int) -> Kind {
    Kind(
      expected: "a share from 1/1 to 1/\(most), such as 1/100",
      read: { text in
        guard text.hasPrefix("1/"), let count = whole(String(text.dropFirst(2))),
          (1...most).contains(count)
        else { return nil }
        return count
      },
      show: { "1/\($0)" })
  }
}
