import Foundation

/// What the kernel says of this process.
enum OwnProcess {
  /// CPU time of all threads, ended ones included.
  static var cpuSeconds: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// CPU time of the running threads of a name.
  static func cpuSeconds(ofThread name: String) -> Double {
    let tasks = "/proc/self/task"
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
    return threads.filter { text("\(tasks)/\($0)/comm") == name + "\n" }.reduce(0) { sum, thread in
      let first = text("\(tasks)/\(thread)/schedstat").split(separator: " ").first
      return sum + (first.flatMap { Double($0) } ?? 0) / 1e9
    }
  }

  /// Memory of its own, without mapped files.
  static var privateBytes: Int {
    let line = text("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
    return (line?.split(separator: " ").dropLast().last.flatMap { Int($0) } ?? 0) << 10
  }

  static func tell(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
  }

  private static func text(_ path: String) -> String {
    (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  }
}
