import Base

/// A request's method (RFC 9110, section 9); names are case-sensitive.
public enum Method: UInt8, Sendable, CaseIterable {
  case get, head, options, post, put, delete, patch, connect, trace
  /// Any other token.
  case other

  /// The method of a name, `.other` where it is not a known one.
  @inline(__always)
  public static func of(_ name: RawSpan) -> Method {
    switch name.byteCount {
    case 3 where name.byte(0) == 0x47 && name.byte(1) == 0x45 && name.byte(2) == 0x54: .get
    case 3: name.equals("PUT") ? .put : .other
    case 4: name.equals("HEAD") ? .head : name.equals("POST") ? .post : .other
    case 5: name.equals("PATCH") ? .patch : name.equals("TRACE") ? .trace : .other
    case 6: name.equals("DELETE") ? .delete : .other
    case 7: name.equals("OPTIONS") ? .options : name.equals("CONNECT") ? .connect : .other
    default: .other
    }
  }

  /// The name as it is sent; empty for `.other`.
  public var text: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .options: "OPTIONS"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .patch: "PATCH"
    case .connect: "CONNECT"
    case .trace: "TRACE"
    case .other: ""
    }
  }
}

/// The protocol version of a message.
public enum Version: UInt8, Sendable {
  case http10, http11, http2
}
