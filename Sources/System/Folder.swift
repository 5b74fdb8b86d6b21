public import Base
import CLinux

/// What is done with folders and with files by their names.
public enum Folder {
  /// Makes a folder, and those above it where they are missing.
  public static func create(_ path: String) throws(Fault) {
    let result = unsafe linux_mkdir(path)
    switch -result {
    case 0: return
    case alreadyThere:
      // A file of that name is no folder: opening it as one says so.
      let descriptor = try checked(unsafe linux_open(path, Int32(LINUX_FOLDER)))
      linux_close(Int32(descriptor))
    case missing:
      guard let cut = path.lastIndex(of: "/"), cut > path.startIndex else {
        throw Fault(.io, .disk, errno: Int32(missing))
      }
      try create(String(path[..<cut]))
      try checked(unsafe linux_mkdir(path))
    default:
      try checked(result)
    }
  }

  /// The names in a folder, without `.` and `..`, in no order; all of them, or a fault.
  public static func names(in path: String) throws(Fault) -> [String] {
    var error: Int64 = 0
    guard let folder = unsafe linux_folder_open(path, &error) else {
      try checked(min(error, -1))
      return []
    }
    defer { unsafe linux_folder_close(folder) }
    var names: [String] = []
    while let name = unsafe linux_folder_next(folder, &error) {
      unsafe names.append(String(cString: name))
    }
    try checked(error)
    return names
  }

  /// Removes a file; that it has gone already is no fault.
  public static func remove(file path: String) throws(Fault) {
    let result = unsafe linux_unlink(path)
    if result == -missing { return }
    try checked(result)
  }

  /// Removes a file, or a folder with all that is in it; links go, and not what they lead to.
  ///
  /// Throws where something cannot be removed, and where folders lie deeper in each other than anybody makes them.
  public static func removeAll(_ path: String) throws(Fault) { try removeAll(path, depth: 0) }

  private static func removeAll(_ path: String, depth: Int) throws(Fault) {
    let result = unsafe linux_unlink(path)
    if result == 0 || result == -missing { return }
    guard result == -isAFolder, depth < 32 else {
      throw Fault(.io, .disk, errno: Int32(clamping: -result))
    }
    for name in try names(in: path) { try removeAll(path + "/" + name, depth: depth + 1) }
    try checked(unsafe linux_remove_folder(path))
  }

  /// Bytes that a file takes on its disk: fewer than its size where it has holes.
  public static func usedBytes(_ path: String) throws(Fault) -> Int {
    Int(try checked(unsafe linux_used_bytes(path)))
  }

  public static func rename(_ from: String, to target: String) throws(Fault) {
    try checked(unsafe linux_rename(from, target))
  }

  /// Waits until the folder's names are on the disk (fsync, 2).
  public static func sync(_ path: String) throws(Fault) {
    let folder = File(
      owning: Int32(try checked(unsafe linux_open(path, Int32(LINUX_FOLDER)))))
    try checked(linux_fsync(folder.descriptor))
  }

  /// Whether anything has this name.
  public static func exists(_ path: String) -> Bool {
    let descriptor = unsafe linux_open(path, 0)
    if descriptor >= 0 { linux_close(Int32(descriptor)) }
    return descriptor != -missing && descriptor != -notAFolder
  }

  /// The error number of what keeps a file from being written, nil where nothing seems to; nothing is touched.
  ///
  /// - Parameter makesFolders: Whether folders that are missing would be made.
  public static func obstacle(toFile path: String, makesFolders: Bool = false) -> Int32? {
    var isFolder = false
    let result = unsafe linux_writable(path, &isFolder)
    if result == 0 { return isFolder ? Int32(isAFolder) : nil }
    guard result == -missing else { return Int32(clamping: -result) }
    return obstacle(toFolder: above(path), isMade: makesFolders)
  }

  /// The same for making files in a folder.
  ///
  /// - Parameter isMade: Whether it and those above it would be made where they are missing.
  public static func obstacle(toFolder path: String, isMade: Bool = true) -> Int32? {
    var isFolder = false
    let result = unsafe linux_writable(path, &isFolder)
    if result == 0 { return isFolder ? nil : Int32(notAFolder) }
    guard result == -missing, isMade, above(path) != path else { return Int32(clamping: -result) }
    return obstacle(toFolder: above(path))
  }

  private static func above(_ path: String) -> String {
    let name = path.last == "/" ? path.dropLast() : path[...]
    guard let cut = name.lastIndex(of: "/") else { return path == "/" ? "/" : "." }
    return cut == name.startIndex ? "/" : String(name[..<cut])
  }

  /// Bytes of the file system that holds a path: those free for us, and all.
  public static func space(at path: String) throws(Fault) -> (free: Int, total: Int) {
    var free: UInt64 = 0
    var total: UInt64 = 0
    try checked(unsafe linux_free_space(path, &free, &total))
    return (Int(clamping: free), Int(clamping: total))
  }
}

private let missing: Int64 = 2
private let alreadyThere: Int64 = 17
private let notAFolder: Int64 = 20
private let isAFolder: Int64 = 21
