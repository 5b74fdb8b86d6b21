public import Base
import System

/// Where the cache lies and how large it may grow.
public struct CacheOptions: Equatable, Sendable {
  /// The cache's folder.
  public var path: String
  /// Bytes that segments and index may take together; a hard bound.
  public var maxSize: Int
  /// How long anything stays at most; nil for as long as there is room.
  public var maxAge: Interval?
  /// Bytes of a slice, the unit that large bodies are fetched and stored in; a power of two.
  public var sliceSize = 1 << 20
  /// Bytes that may wait for the writer: some seconds of a busy disk, small beside a machine's memory.
  public var queueBytes = 64 << 20

  public init(path: String, maxSize: Int) {
    self.path = path
    self.maxSize = maxSize
  }

  /// `maxAge` in whole seconds.
  var maxAgeSeconds: Int64? { maxAge.map { max(1, $0.nanoseconds / 1_000_000_000) } }

  public static let sliceSizes = (64 << 10)...(64 << 20)

  /// Bytes of a segment file: large enough that few are open, small enough to evict by.
  public var segmentSize: Int {
    max(min(max(maxSize / 64, 4 << 20), 256 << 20), 2 * sliceSize)
  }

  /// Bytes of the index's map, all of which count.
  public var indexSize: Int {
    // LMDB wants whole pages.
    max(maxSize / 8, 64 << 20) & ~0xffff
  }

  /// How many segments fit beside the index.
  public var segmentLimit: Int { max(0, (maxSize - indexSize) / segmentSize) }

  /// Bytes that the cache may come to on its disk as that is now: those that are free, and its own.
  ///
  /// Nil where nobody can tell.
  public var roomOnDisk: Int? {
    // Where the folder is still to be made, its disk is that of the one above.
    var place = path
    while !place.isEmpty, !Folder.exists(place) {
      place = place.lastIndex(of: "/").map { String(place[..<$0]) } ?? ""
    }
    if place.isEmpty { place = path.hasPrefix("/") ? "/" : "." }
    guard let free = try? Folder.space(at: place).free else { return nil }
    let segments = path + "/segments"
    let names = (try? Folder.names(in: segments)) ?? []
    let files = names.map { segments + "/" + $0 } + ["\(path)/\(Index.folderName)/data.mdb"]
    return files.reduce(free) { $0 + ((try? Folder.usedBytes($1)) ?? 0) }
  }

  /// The file that counts deaths of the process soon after it opened the cache (see `CrashMarks`).
  public var crashMarks: String { path + "/crashes" }
  /// How long after opening a death may be the index's fault.
  public static let crashTime = DiskWriter.provenTime

  /// Why these options cannot be used, or nil.
  public var problem: Problem? {
    if sliceSize.nonzeroBitCount != 1 || !Self.sliceSizes.contains(sliceSize) {
      return .sliceSize
    }
    // Two: one that is written and one that is read.
    return segmentLimit < 2 ? .maxSizeTooSmall : nil
  }

  public enum Problem: Equatable, Sendable {
    /// The slice size is no power of two from 64 KiB to 64 MiB.
    case sliceSize
    /// Two segments do not fit beside the index.
    case maxSizeTooSmall
  }
}
