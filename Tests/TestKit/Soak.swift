import Foundation

/// Whether the long forms of tests run (SOAK=1, see `make soak`) or the short ones.
public enum Soak {
  public static let isOn = ProcessInfo.processInfo.environment["SOAK"] == "1"

  /// What a test takes in its short and in its long form.
  public static func pick<Value>(_ short: Value, soak long: Value) -> Value {
    isOn ? long : short
  }

  /// A line for whoever watches a long run.
  public static func report(_ line: String) {
    guard isOn else { return }
    FileHandle.standardError.write(Data("soak: \(line)\n".utf8))
  }
}
