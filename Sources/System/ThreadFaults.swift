import Base

/// Page faults of this process's threads, as the kernel counts them.
public enum ThreadFaults {
  /// Major page faults, which waited for a disk, of all running threads whose name starts so.
  ///
  /// Reads two small files a thread (proc(5), `/proc/self/task`); not for a worker.
  public static func major(ofThreads prefix: String) -> Int {
    let tasks = "/proc/self/task"
    var total = 0
    do throws(Fault) {
      for thread in try Folder.names(in: tasks) {
        guard let text = SmallFile.read("\(tasks)/\(thread)/stat"), let stat = ThreadStat(text),
          stat.name.hasPrefix(prefix)
        else { continue }
        total += stat.majorFaults
      }
    } catch {
      return total
    }
    return total
  }
}

/// What is used of a thread's line in `/proc` (proc(5), `/proc/pid/stat`).
struct ThreadStat {
  var name: Substring
  var majorFaults: Int

  /// Nil for what is no such line.
  ///
  /// A name may hold anything, brackets and blanks included.
  init?(_ text: String) {
    guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close
    else { return nil }
    // The field after the name is the third, and the faults are the twelfth.
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 9, let faults = Int(fields[9]) else { return nil }
    name = text[text.index(after: open)..<close]
    majorFaults = faults
  }
}
