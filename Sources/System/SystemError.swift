internal import CLinux

/// The error numbers that Sluice tells apart (Linux, all architectures it runs on).
public enum SystemError {
  public static let notFound: Int32 = 2
  public static let interrupted: Int32 = 4
  public static let inputOutput: Int32 = 5
  public static let again: Int32 = 11
  public static let noMemory: Int32 = 12
  public static let noAccess: Int32 = 13
  public static let notFolder: Int32 = 20
  public static let invalid: Int32 = 22
  public static let tooManyFilesInSystem: Int32 = 23
  public static let tooManyFiles: Int32 = 24
  public static let noSpace: Int32 = 28
  public static let readOnly: Int32 = 30
  public static let protocolError: Int32 = 71
  public static let notSupported: Int32 = 95
  public static let connectionReset: Int32 = 104
  public static let noBuffers: Int32 = 105
  public static let quotaExceeded: Int32 = 122

  /// The system's words for an error number, for messages; its own ones where they say more, or less at length.
  public static func text(_ number: Int32) -> String {
    switch number {
    case 99: return "address not available on this machine"
    case 24, 23: return "too many open files"
    case 104: return "connection reset"
    case 110: return "timed out"
    default: break
    }
    var words = [CChar](repeating: 0, count: 128)
    unsafe words.withUnsafeMutableBufferPointer { room in
      unsafe linux_error_text(number, room.baseAddress, room.count)
    }
    let text = String(
      decoding: words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // Within a sentence of Sluice's own; abbreviations stay: "RPC struct is bad".
    let isWord = text.dropFirst().first?.isLowercase ?? false
    return isWord ? text.prefix(1).lowercased() + text.dropFirst() : text
  }
}
