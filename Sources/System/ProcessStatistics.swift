import Base
import CLinux

/// What the kernel has counted of this process (proc(5)).
///
/// Reads a few small files and one name for each descriptor; not for a worker.
public struct ProcessStatistics: Sendable {
  /// In user and in system mode, all threads together.
  public var cpuSeconds: Double
  public var residentBytes: Int
  public var virtualBytes: Int
  public var openDescriptors: Int
  /// 0 where it is not known.
  public var mostDescriptors: Int

  /// Nil where there is no `/proc`.
  public init?() {
    guard let stat = SmallFile.read("/proc/self/stat"), let times = ProcessTimes(stat: stat),
      let memory = SmallFile.read("/proc/self/statm").flatMap({ Self.pages(statm: $0) })
    else { return nil }
    let page = Int(linux_page_size())
    cpuSeconds = Double(times.cpuTicks) / Self.ticks
    residentBytes = memory.resident * page
    virtualBytes = memory.size * page
    do throws(Fault) {
      // One of them is what lists them.
      openDescriptors = max(0, try Folder.names(in: "/proc/self/fd").count - 1)
    } catch {
      openDescriptors = 0
    }
    mostDescriptors = SmallFile.read("/proc/self/limits").flatMap { Self.most(limits: $0) } ?? 0
  }

  /// When the process began, in seconds since 1970; worked out once, so that it stands still.
  public static let startSeconds: Double = {
    guard let stat = SmallFile.read("/proc/self/stat"), let times = ProcessTimes(stat: stat) else {
      return 0
    }
    // Not by /proc/uptime, which is the container's where one has its own.
    let age = Double(linux_boot_nanos()) / 1e9 - Double(times.startTicks) / ticks
    return Double(linux_wall_nanos()) / 1e9 - age
  }()

  private static let ticks = Double(max(1, linux_clock_ticks()))

  /// The first two numbers of `/proc/self/statm`.
  static func pages(statm text: String) -> (size: Int, resident: Int)? {
    let numbers = text.split(separator: " ").prefix(2).compactMap { Int($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
  }

  /// The soft limit on descriptors in `/proc/self/limits`; nil where there is none.
  static func most(limits text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix("Max open files") {
      return line.dropFirst(14).split(separator: " ").first.flatMap { Int($0) }
    }
    return nil
  }
}

/// What is used of `/proc/self/stat`, in ticks.
struct ProcessTimes {
  var cpuTicks: Int
  /// Since the machine's start.
  var startTicks: Int

  /// Nil for what is no such line; a name may hold anything, brackets and blanks included.
  init?(stat text: String) {
    guard let close = text.lastIndex(of: ")") else { return nil }
    // The field after the name is the third; user, system and start are the 14th, 15th and 22nd.
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 19, let user = Int(fields[11]), let system = Int(fields[12]),
      let start = Int(fields[19])
    else { return nil }
    cpuTicks = user + system
    startTicks = start
  }
}
