import CXXHash
import Foundation

/// A request's body as a scripted server got it: how long it was, and what stands for its bytes.
public struct ReceivedBody: Equatable, Sendable {
  public var count = 0
  /// XXH3.
  public var digest: UInt64 = 0
  /// Whether it came to its end.
  public var isComplete = false
}

/// Adds bytes up to a count and a digest.
public final class BodySum {
  private let state = XXH3_createState()
  public private(set) var count = 0

  public init() { XXH3_64bits_reset(state) }

  deinit { XXH3_freeState(state) }

  public func add(_ bytes: [UInt8]) {
    count += bytes.count
    bytes.withUnsafeBytes { _ = XXH3_64bits_update(state, $0.baseAddress, $0.count) }
  }

  public func received(isComplete: Bool) -> ReceivedBody {
    ReceivedBody(count: count, digest: XXH3_64bits_digest(state), isComplete: isComplete)
  }
}

extension ReceivedBody {
  /// What should have come of these bytes.
  public init(of bytes: [UInt8]) {
    let sum = BodySum()
    sum.add(bytes)
    self = sum.received(isComplete: true)
  }
}

extension Reply {
  /// Says that the body is wanted.
  public func askForBody() throws { try send("HTTP/1.1 100 Continue\r\n\r\n".utf8) }

  /// Reads the request's body, in chunks or by its length, piece by piece.
  ///
  /// - Parameters:
  ///   - most: After so many bytes it reads no more.
  ///   - each: Told of each piece.
  @discardableResult
  public func readBody(
    atMost most: Int = .max, each: ([UInt8]) throws -> Void = { _ in }
  ) throws -> ReceivedBody {
    let sum = BodySum()
    if request["Transfer-Encoding"]?.lowercased() == "chunked" {
      while sum.count < most {
        guard let line = nextLine(), let size = Int(line.prefix { $0 != ";" }, radix: 16) else {
          return sum.received(isComplete: false)
        }
        if size == 0 {
          while let trailer = nextLine(), !trailer.isEmpty { trailers.append(trailer) }
          return sum.received(isComplete: true)
        }
        guard try read(size, sum, most, each), nextLine() == "" else {
          return sum.received(isComplete: false)
        }
      }
      return sum.received(isComplete: false)
    }
    let length = request["Content-Length"].flatMap { Int($0) } ?? 0
    let isWhole = try read(length, sum, most, each)
    return sum.received(isComplete: isWhole)
  }

  /// Reads so many bytes; false where they did not come, or are more than wanted.
  private func read(
    _ count: Int, _ sum: BodySum, _ most: Int, _ each: ([UInt8]) throws -> Void
  ) throws -> Bool {
    var rest = count
    while rest > 0 {
      if sum.count >= most { return false }
      if ahead.isEmpty && !receive(64 << 10) { return false }
      let piece: [UInt8]
      if ahead.count <= rest {
        piece = ahead
        ahead = []
      } else {
        piece = Array(ahead[..<rest])
        ahead.removeFirst(rest)
      }
      rest -= piece.count
      sum.add(piece)
      try each(piece)
    }
    return true
  }

  private func nextLine() -> String? {
    while true {
      if let end = ahead.firstIndex(of: 10) {
        let text = String(decoding: ahead[..<end], as: UTF8.self)
        ahead.removeFirst(end + 1)
        return text.hasSuffix("\r") ? String(text.dropLast()) : text
      }
      guard receive(64 << 10) else { return nil }
    }
  }

  /// Receives more behind what is ahead; false at the end.
  private func receive(_ most: Int) -> Bool {
    let piece = [UInt8](unsafeUninitializedCapacity: most) { buffer, written in
      written = max(0, recv(socket, buffer.baseAddress, most, 0))
    }
    if ahead.isEmpty { ahead = piece } else { ahead += piece }
    return !piece.isEmpty
  }
}
