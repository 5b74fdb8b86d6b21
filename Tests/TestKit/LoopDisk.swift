import Foundation

/// A disk of a test's own: an ext4 image in a file, mounted through a loop device.
///
/// It lives as long as the closure of `with`, and is unmounted and deleted however that ends.
public final class LoopDisk {
  /// Why this machine cannot have one, or nil.
  public static let whyNot: String? = {
    guard geteuid() == 0 else { return "loop mounts need root" }
    do {
      try with(bytes: 8 << 20) { _ in }
      return nil
    } catch {
      return "no loop mounts here: \(error)"
    }
  }()

  public static var isAvailable: Bool { whyNot == nil }

  /// The file that holds the disk's blocks, and where it is mounted.
  public let image: String
  public let path: String
  private var isFrozen = false

  private init(image: String, path: String) { (self.image, self.path) = (image, path) }

  /// Makes a disk for as long as `body` runs.
  ///
  /// - Parameters:
  ///   - bytes: The image's size; the file system keeps some of it for itself.
  ///   - folder: Where the image lies; in a temporary folder unless given.
  ///   - options: Of the mount, beside `loop`.
  ///   - hasJournal: Without one the file system bears write errors below it and goes on.
  public static func with<Result>(
    bytes: Int, in folder: String? = nil, options: String? = nil, hasJournal: Bool = true,
    _ body: (LoopDisk) throws -> Result
  ) throws -> Result {
    let place = try TemporaryFolder()
    let image = (folder ?? place.path) + "/disk-\(UInt64.random(in: 0 ... .max)).img"
    defer { unlink(image) }
    try withExtendedLifetime(place) {
      try sized(image, bytes)
      let journal = hasJournal ? "has_journal" : "^has_journal"
      try run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-O", journal, image)
    }
    return try mounted(image, options: options, body)
  }

  /// Mounts a copy of this disk's blocks as they are now, as after a power cut.
  ///
  /// Nobody may be writing: what is on its way to the disk would be in some blocks and not in others.
  public func withCopy<Result>(_ body: (LoopDisk) throws -> Result) throws -> Result {
    let place = try TemporaryFolder()
    let copy = place.file("copy.img")
    var before = -1
    var attempts = 0
    // A block that the kernel wrote meanwhile makes a picture that no power cut leaves.
    while try writes() != before {
      attempts += 1
      guard attempts <= 10 else { throw TestFailure("\(image) does not come to rest") }
      before = try writes()
      try Self.run("cp", "--sparse=always", image, copy)
    }
    return try Self.mounted(copy, options: nil, body)
  }

  private static func mounted<Result>(
    _ image: String, options: String?, _ body: (LoopDisk) throws -> Result
  ) throws -> Result {
    let place = try TemporaryFolder()
    let path = place.file("mounted")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    let words = (["loop"] + (options.map { [$0] } ?? [])).joined(separator: ",")
    try run("mount", "-t", "ext4", "-o", words, image, path)
    let disk = LoopDisk(image: image, path: path)
    defer { withExtendedLifetime(place) { disk.remove() } }
    return try body(disk)
  }

  private func remove() {
    try? unfreeze()
    if (try? Self.run("umount", path)) != nil { return }
    // Somebody still has a file open: it goes with them.
    _ = try? Self.run("umount", "-l", path)
  }

  private static func sized(_ file: String, _ bytes: Int) throws {
    guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, bytes) == 0
    else { throw TestFailure.system("no image") }
  }

  @discardableResult
  private static func run(_ program: String, _ arguments: String...) throws -> String {
    let outcome = try Outcome.of(program, arguments)
    guard outcome.ending == .exited(0) else {
      throw TestFailure("\(program) \(arguments.joined(separator: " ")): \(outcome.errors)")
    }
    return outcome.text
  }

  /// How many writes the loop device has done.
  private func writes() throws -> Int {
    let device = try Self.run("findmnt", "-n", "-o", "SOURCE", path)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let name = device.split(separator: "/").last ?? ""
    let numbers = try String(contentsOfFile: "/sys/block/\(name)/stat", encoding: .utf8)
      .split(separator: " ")
    guard numbers.count > 8, let done = Int(numbers[4]), let underWay = Int(numbers[8]) else {
      throw TestFailure("no numbers of \(device)")
    }
    // Never the same twice as long as something is under way.
    return underWay == 0 ? done : -2 - Int.random(in: 0..<1 << 40)
  }

  // MARK: Its space

  /// Bytes that files and folders may still take, and those that they have taken.
  public var space: (free: Int, used: Int) { Self.space(at: path) }

  public static func space(at path: String) -> (free: Int, used: Int) {
    var numbers = statvfs()
    guard statvfs(path, &numbers) == 0 else { return (0, 0) }
    let unit = Int(numbers.f_frsize)
    return (Int(numbers.f_bavail) * unit, Int(numbers.f_blocks - numbers.f_bfree) * unit)
  }

  // MARK: Trouble

  /// Lets every write wait until `unfreeze`.
  public func freeze() throws {
    try Self.run("fsfreeze", "-f", path)
    isFrozen = true
  }

  public func unfreeze() throws {
    guard isFrozen else { return }
    try Self.run("fsfreeze", "-u", path)
    isFrozen = false
  }

  /// Ends the file system's journal as a broken disk does: from then on it is read-only.
  public func abort() throws {
    try Self.run("mount", "-o", "remount,abort", path)
  }
}

/// A file that takes space from everybody else.
public final class Ballast: @unchecked Sendable {
  // Unchecked: what changes is guarded by the lock.

  private let path: String
  private let descriptor: Int32
  private let lock = NSLock()
  private var bytes = 0
  private var isHolding = false

  /// - Parameter folder: Where it lies; it goes with the object.
  public init(in folder: String) throws {
    path = folder + "/ballast"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw TestFailure.system("no ballast") }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// Takes all but so many bytes of what is free now.
  public func grow(leaving rest: Int = 0) {
    lock.withLock { take(leaving: rest) }
  }

  private func take(leaving rest: Int) {
    var numbers = statvfs()
    guard fstatvfs(descriptor, &numbers) == 0 else { return }
    var step = Int(numbers.f_bavail) * Int(numbers.f_frsize) - rest
    // The last blocks may be kept for the file system itself: smaller and smaller bites find out.
    while step >= 4096 {
      if posix_fallocate(descriptor, bytes, step) == 0 {
        bytes += step
        if rest > 0 { return }
      } else {
        step /= 2
      }
    }
  }

  /// Takes everything that gets free, as soon as it does, until `clear`.
  public func hold() {
    lock.withLock { isHolding = true }
    Thread.detachNewThread { [self] in
      while lock.withLock({ isHolding }) {
        grow()
        usleep(200)
      }
    }
  }

  /// Gives everything back.
  public func clear() {
    lock.withLock {
      isHolding = false
      ftruncate(descriptor, 0)
      bytes = 0
    }
  }
}
