import Base

extension FieldToken {
  /// The only token that a name of this length can be, told by a byte or two.
  ///
  /// The caller compares the whole name with it.
  @inline(__always)
  static func candidate(_ name: RawSpan) -> FieldToken {
    switch name.byteCount {
    case 0...7: shortCandidate(name)
    case 8...13: middleCandidate(name)
    default: longCandidate(name)
    }
  }

  private static func shortCandidate(_ name: RawSpan) -> FieldToken {
    switch name.byteCount {
    case 2: .te
    case 3: name.byte(0) | 0x20 == UInt8(ascii: "a") ? .age : .via
    case 4:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "d"): .date
      case UInt8(ascii: "e"): .etag
      case UInt8(ascii: "h"): .host
      case UInt8(ascii: "l"): .link
      case UInt8(ascii: "v"): .vary
      default: .other
      }
    case 5: name.byte(0) | 0x20 == UInt8(ascii: "a") ? .allow : .range
    case 6:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "a"): .accept
      case UInt8(ascii: "c"): .cookie
      case UInt8(ascii: "e"): .expect
      case UInt8(ascii: "o"): .origin
      case UInt8(ascii: "p"): .pragma
      case UInt8(ascii: "s"): .server
      default: .other
      }
    case 7:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "a"): .altSvc
      case UInt8(ascii: "e"): .expires
      case UInt8(ascii: "r"): .referer
      case UInt8(ascii: "t"): .trailer
      case UInt8(ascii: "u"): .upgrade
      default: .other
      }
    default: .other
    }
  }

  private static func middleCandidate(_ name: RawSpan) -> FieldToken {
    switch name.byteCount {
    case 8:
      switch name.byte(3) | 0x20 {
      case UInt8(ascii: "m"): .ifMatch
      case UInt8(ascii: "r"): .ifRange
      case UInt8(ascii: "a"): .location
      default: .other
      }
    case 9: name.byte(0) | 0x20 == UInt8(ascii: "f") ? .forwarded : .xRealIp
    case 10:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "c"): .connection
      case UInt8(ascii: "k"): .keepAlive
      case UInt8(ascii: "s"): .setCookie
      case UInt8(ascii: "t"): .tracestate
      case UInt8(ascii: "u"): .userAgent
      default: .other
      }
    case 11:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "r"): .retryAfter
      case UInt8(ascii: "t"): .traceparent
      case UInt8(ascii: "x"): .xIpfsPath
      default: .other
      }
    case 12:
      switch name.byte(2) | 0x20 {
      case UInt8(ascii: "c"): .cacheStatus
      case UInt8(ascii: "n"): .contentType
      case UInt8(ascii: "i"): .xIpfsRoots
      case UInt8(ascii: "r"): .xRequestId
      default: .other
      }
    case 13:
      switch name.byte(12) | 0x20 {
      case UInt8(ascii: "s"): .acceptRanges
      case UInt8(ascii: "n"): .authorization
      case UInt8(ascii: "l"): .cacheControl
      case UInt8(ascii: "e"): .contentRange
      case UInt8(ascii: "h"): .ifNoneMatch
      case UInt8(ascii: "d"): .lastModified
      case UInt8(ascii: "g"): .serverTiming
      default: .other
      }
    default: .other
    }
  }

  private static func longCandidate(_ name: RawSpan) -> FieldToken {
    switch name.byteCount {
    case 14:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "c"): .contentLength
      case UInt8(ascii: "s"): .serviceWorker
      case UInt8(ascii: "x"): .xStreamError
      default: .other
      }
    case 15:
      switch name.byte(7) | 0x20 {
      case UInt8(ascii: "e"): .acceptEncoding
      case UInt8(ascii: "l"): .acceptLanguage
      case UInt8(ascii: "r"): .xForwardedFor
      case UInt8(ascii: "m"): .xStreamOutput
      default: .other
      }
    case 16:
      switch name.byte(11) | 0x20 {
      case UInt8(ascii: "o"): .contentEncoding
      case UInt8(ascii: "g"): .contentLanguage
      case UInt8(ascii: "a"): .contentLocation
      case UInt8(ascii: "c"): .proxyConnection
      case UInt8(ascii: "i"): .wwwAuthenticate
      case UInt8(ascii: "u"): .xChunkedOutput
      case UInt8(ascii: "-"):
        name.byte(2) | 0x20 == UInt8(ascii: "f") ? .xForwardedHost : .xRequestedWith
      default: .other
      }
    case 17:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "i"): .ifModifiedSince
      case UInt8(ascii: "t"): .transferEncoding
      case UInt8(ascii: "x"): .xForwardedProto
      default: .other
      }
    case 19:
      switch name.byte(0) | 0x20 {
      case UInt8(ascii: "c"): .contentDisposition
      case UInt8(ascii: "i"): .ifUnmodifiedSince
      case UInt8(ascii: "p"): .proxyAuthorization
      default: .other
      }
    case 22: name.byte(0) | 0x20 == UInt8(ascii: "a") ? .accessControlMaxAge : .xContentTypeOptions
    case 25: .strictTransportSecurity
    case 27: .accessControlAllowOrigin
    case 28:
      name.byte(21) | 0x20 == UInt8(ascii: "h")
        ? .accessControlAllowHeaders : .accessControlAllowMethods
    case 29:
      name.byte(15) | 0x20 == UInt8(ascii: "e")
        ? .accessControlExposeHeaders : .accessControlRequestMethod
    case 30: .accessControlRequestHeaders
    default: .other
    }
  }
}
