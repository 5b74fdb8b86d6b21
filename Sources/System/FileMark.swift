public import Base
import CLinux

/// By what a file is known to be the one that was there before, unchanged.
public struct FileMark: Equatable, Sendable {
  public let inode: Int64
  public let size: Int
  /// Nanoseconds since 1970.
  let modified: Int64
}

extension File {
  /// The file's mark now.
  public func mark() throws(Fault) -> FileMark {
    FileMark(
      inode: try checked(linux_inode(descriptor)), size: try size(),
      modified: try checked(linux_modified(descriptor)))
  }

  /// Who may do what with the file (chmod, 2): bits as octal 0640 has them.
  public func mode() throws(Fault) -> Int { Int(try checked(linux_mode(descriptor))) }

  /// Where every process finds this one's descriptor of the file: a name for libraries that open by name.
  public var path: String { "/proc/self/fd/\(descriptor)" }
}
