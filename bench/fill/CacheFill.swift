import ArgumentParser
import Base
import Cache
import System

/// Builds a large cache by the cache's own way of writing, for benches of what is large.
///
/// The progress goes to the standard error, one line of JSON to the standard output.
@main
struct CacheFill: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "CacheFill",
    abstract: "Fill a cache with raw blocks under their true CIDs, as the gateway would keep them.")

  @Option(help: "The cache's folder (cache.path).")
  var path: String

  @Option(help: "The cache's max_size in bytes.")
  var maxSize: Int

  @Option(help: "How many objects.")
  var objects: Int

  @Option(help: "Bytes of the smallest object.")
  var size = 1024

  @Option(help: "Bytes of the largest object; sizes between the two follow from the seed.")
  var largest: Int?

  @Option(help: "Objects of another seed are others.")
  var seed: UInt64 = 1

  @Option(help: "A file for the paths of the objects, one a line, in the order of writing.")
  var list: String?

  @Option(help: "How many objects follow once the cache is full, which is measured by itself.")
  var evict = 0

  func validate() throws {
    guard size > 0, (largest ?? size) >= size, objects >= 0, evict >= 0 else {
      throw ValidationError("sizes are above 0, the largest no smaller than the smallest")
    }
  }

  func run() throws {
    do throws(Fault) {
      let report = try measure()
      print(report.text)
    } catch {
      throw ValidationError("\(error.name) \(SystemError.text(error.errno))")
    }
  }

  private func measure() throws(Fault) -> Report {
    var report = try write()
    report.add(try IndexUsage(folder: path))
    return report
  }

  /// What writing cost; the cache is closed again after it.
  private func write() throws(Fault) -> Report {
    let make = ObjectMaker(seed: seed, sizes: size...(largest ?? size))
    let feeder = try Feeder(CacheOptions(path: path, maxSize: maxSize), make, list: list)
    defer { feeder.stop() }
    var report = Report()
    try feeder.feed(objects)
    if evict > 0 {
      while feeder.evictions == 0 { try feeder.feed(1000) }
      feeder.flush()
      let before = feeder.reading()
      try feeder.feed(evict)
      feeder.flush()
      report.addEviction(before, feeder.reading())
    }
    feeder.flush()
    report.add(feeder.reading())
    try feeder.writeList()
    return report
  }
}
