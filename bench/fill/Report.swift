import Cache

/// Where things stand at one moment.
struct Reading {
  /// Since the start.
  var seconds: Double
  var objects: Int
  /// Jobs that the writer did not do.
  var failed: Int
  var storage: StorageCounters.Snapshot
  var processSeconds: Double
  var writerSeconds: Double
  var privateBytes: Int
}

/// What a run came to, as one line of JSON.
struct Report {
  private var lines: [(name: String, value: Double)] = []

  /// The whole of a run.
  mutating func add(_ end: Reading) {
    let count = Double(max(end.objects, 1))
    add("objects", Double(end.objects))
    add("seconds", end.seconds)
    add("puts_per_second", count / end.seconds)
    add("cpu_us_per_put", end.processSeconds / count * 1e6)
    add("writer_cpu_us_per_put", end.writerSeconds / count * 1e6)
    add("failed_jobs", Double(end.failed))
    add("commits", Double(end.storage.sequence))
    add("entries", Double(end.storage.entries))
    add("segments", Double(end.storage.segments))
    add("evicted_segments", Double(end.storage.evictions))
    add("private_bytes", Double(end.privateBytes))
  }

  /// What happened between two moments of a cache that was full all the time.
  mutating func addEviction(_ before: Reading, _ after: Reading) {
    let seconds = after.seconds - before.seconds
    let puts = Double(after.objects - before.objects)
    let gone = puts - Double(after.storage.entries - before.storage.entries)
    add("full_puts_per_second", puts / seconds)
    add("full_keys_deleted_per_second", gone / seconds)
    add(
      "full_segments_evicted", Double(after.storage.evictions - before.storage.evictions))
    add("full_failed_jobs", Double(after.failed - before.failed))
    add(
      "full_writer_cpu_us_per_put", (after.writerSeconds - before.writerSeconds) / puts * 1e6)
  }

  /// The index at rest.
  mutating func add(_ usage: IndexUsage) {
    let used = Double((usage.pages - usage.freePages) * usage.pageSize)
    add("index_file_bytes", Double(usage.pages * usage.pageSize))
    add("index_used_bytes", used)
    add("index_map_bytes", Double(usage.mapBytes))
    add("index_depth", Double(usage.depth))
    add("index_bytes_per_object", used / Double(max(usage.objects, 1)))
  }

  private mutating func add(_ name: String, _ value: Double) {
    lines.append((name, value))
  }

  var text: String {
    let pairs = lines.map { line in
      let rounded = (line.value * 100).rounded() / 100
      let number = rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
      return "\"\(line.name)\": \(number)"
    }
    return "{" + pairs.joined(separator: ", ") + "}"
  }
}
