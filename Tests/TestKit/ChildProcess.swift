import Foundation

/// A process that a test started; killed when the object goes, whatever became of the test.
public final class ChildProcess {
  public enum Ending: Equatable, Sendable {
    case exited(Int32)
    case killed(by: Int32)
  }

  public let pid: pid_t
  public private(set) var ending: Ending?

  /// Starts a program in a folder, with its output and its errors going to files there.
  public init(
    _ program: String, _ arguments: [String], in folder: String, output: String, errors: String
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_APPEND
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The test runner's own mask and dispositions are no part of the program's surroundings.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    // env changes to the folder and then becomes the program, with the same pid.
    let command = ["env", "--chdir=\(folder)", program] + arguments
    var words = command.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var started: pid_t = 0
    let result = Sockets.inheritance.withLock {
      posix_spawnp(&started, "env", &actions, &attributes, &words, environ)
    }
    guard result == 0 else {
      throw TestFailure("\(program) does not start: \(String(cString: strerror(result)))")
    }
    pid = started
  }

  deinit { kill() }

  public var isRunning: Bool {
    look(0)
    return ending == nil
  }

  public func send(_ signal: Int32) {
    if isRunning { Foundation.kill(pid, signal) }
  }

  /// Ends it at once and waits for that.
  public func kill() {
    guard isRunning else { return }
    Foundation.kill(pid, SIGKILL)
    look(nil)
  }

  /// How it ended; throws where it did not in time.
  @discardableResult
  public func wait(seconds: Double = 60) throws -> Ending {
    guard eventually(within: seconds, { !isRunning }), let ending else {
      throw TestFailure("process \(pid) did not end")
    }
    return ending
  }

  private func look(_ patience: Int?) {
    guard ending == nil else { return }
    var status: Int32 = 0
    guard waitpid(pid, &status, patience == nil ? 0 : WNOHANG) == pid else { return }
    let signal = status & 0x7F
    ending = signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(by: signal)
  }
}

/// What a program that ran to its end left behind.
public struct Outcome: Sendable {
  public var ending: ChildProcess.Ending
  public var output: [UInt8]
  public var errors: String

  public var text: String { String(decoding: output, as: UTF8.self) }

  /// Runs a program to its end, in a folder of its own or in a given one.
  public static func of(
    _ program: String, _ arguments: [String], in folder: TemporaryFolder? = nil,
    seconds: Double = 120
  ) throws -> Outcome {
    let folder = try folder ?? TemporaryFolder()
    let name = "run-\(UInt64.random(in: 0 ... .max))"
    let child = try ChildProcess(
      program, arguments, in: folder.path, output: folder.file(name + ".out"),
      errors: folder.file(name + ".err"))
    let ending = try child.wait(seconds: seconds)
    let output = FileManager.default.contents(atPath: folder.file(name + ".out")) ?? Data()
    return Outcome(ending: ending, output: [UInt8](output), errors: folder.text(of: name + ".err"))
  }

  /// Runs curl, quiet but for errors, and with a limit on its time.
  public static func curl(_ arguments: [String], in folder: TemporaryFolder? = nil) throws
    -> Outcome
  {
    try of("curl", ["--silent", "--show-error", "--max-time", "120"] + arguments, in: folder)
  }
}

/// The program under test.
public enum Program {
  /// The binary that was built with these tests, or the one that SLUICE_BINARY names.
  public static let path: String = {
    if let named = ProcessInfo.processInfo.environment["SLUICE_BINARY"] { return named }
    let beside = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appending(path: "sluice").path
    if FileManager.default.isExecutableFile(atPath: beside) { return beside }
    return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: ".build/debug/sluice").path
  }()

  /// Lets this process have as many sockets as the system allows.
  public static func raiseDescriptors() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
