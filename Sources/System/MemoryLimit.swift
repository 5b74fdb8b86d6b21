import Base

/// How much memory there is for this process and the pages of its files.
public enum MemoryLimit {
  /// The machine's memory, or what the process's control group may use where that is less.
  ///
  /// A group's own limit is looked for, and that of the hierarchy's root, which is a container's.
  public static var bytes: Int {
    let groups = SmallFile.read("/proc/self/cgroup").map { files(ofGroups: $0) } ?? []
    return (files + groups).reduce(ProcessLimits.memory) { least, path in
      min(least, SmallFile.read(path).flatMap { limit(in: $0) } ?? .max)
    }
  }

  private static let files = [
    "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
  ]

  /// The limits' files of the groups in /proc/self/cgroup (cgroups, 7), with those above them.
  static func files(ofGroups text: String) -> [String] {
    text.split(separator: "\n").flatMap { line -> [String] in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return [] }
      let start: String
      let file: String
      if fields[0] == "0", fields[1].isEmpty {
        (start, file) = ("/sys/fs/cgroup", "memory.max")
      } else if fields[1].split(separator: ",").contains("memory") {
        (start, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
      } else {
        return []
      }
      var folder = start
      return fields[2].split(separator: "/").map { name in
        folder += "/" + name
        return folder + "/" + file
      }
    }
  }

  /// The number in such a file; nil where there is no limit ("max").
  static func limit(in text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let rest = text.dropFirst(digits.count)
    return rest.allSatisfy(\.isWhitespace) ? Int(digits) : nil
  }
}

/// The small files that a kernel makes up when they are read.
enum SmallFile {
  private static let most = 4096

  /// The first 4 KiB; nil where the file cannot be read.
  static func read(_ path: String) -> String? {
    var bytes = ByteBuffer(capacity: most)
    do throws(Fault) {
      let file = try File(path: path, .read)
      _ = try unsafe bytes.fill { room throws(Fault) in
        try unsafe file.read(at: 0, into: UnsafeMutableRawBufferPointer(rebasing: room[..<most]))
      }
    } catch {
      return nil
    }
    return bytes.readable.text
  }
}
