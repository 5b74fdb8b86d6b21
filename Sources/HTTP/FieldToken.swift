import Base

/// A field name that the gateway knows, as one byte.
///
/// Parsers give it beside the name's place, so that nothing after them compares names.
public enum FieldToken: UInt8, Sendable, CaseIterable {
  /// Any other name.
  case other
  case accept, acceptEncoding, acceptLanguage, acceptRanges, accessControlAllowHeaders
  case accessControlAllowMethods, accessControlAllowOrigin, accessControlExposeHeaders
  case accessControlMaxAge, accessControlRequestHeaders, accessControlRequestMethod, age, allow
  case altSvc, authorization, cacheControl, cacheStatus, connection, contentDisposition
  case contentEncoding, contentLanguage, contentLength, contentLocation, contentRange, contentType
  case cookie, date, etag, expect, expires, forwarded, host, ifMatch, ifModifiedSince, ifNoneMatch
  case ifRange, ifUnmodifiedSince, keepAlive, lastModified, link, location, origin, pragma
  case proxyAuthorization, proxyConnection, range, referer, retryAfter, server, serverTiming
  case serviceWorker, setCookie, strictTransportSecurity, te, traceparent, tracestate, trailer
  case transferEncoding, upgrade, userAgent, vary, via, wwwAuthenticate, xChunkedOutput,
    xContentTypeOptions, xForwardedFor
  case xForwardedHost, xForwardedProto, xIpfsPath, xIpfsRoots, xRealIp, xRequestId, xRequestedWith
  case xStreamError, xStreamOutput

  /// The token of a name in any case of letters; `.other` where it is not a known one.
  public static func of(_ name: RawSpan) -> FieldToken {
    let token = candidate(name)
    return token != .other && name.equalsName(token.text) ? token : .other
  }

  /// The name in its usual spelling; empty for `.other`.
  public var text: StaticString {
    switch self {
    case .accept: "Accept"
    case .acceptEncoding: "Accept-Encoding"
    case .acceptLanguage: "Accept-Language"
    case .acceptRanges: "Accept-Ranges"
    case .accessControlAllowHeaders: "Access-Control-Allow-Headers"
    case .accessControlAllowMethods: "Access-Control-Allow-Methods"
    case .accessControlAllowOrigin: "Access-Control-Allow-Origin"
    case .accessControlExposeHeaders: "Access-Control-Expose-Headers"
    case .accessControlMaxAge: "Access-Control-Max-Age"
    case .accessControlRequestHeaders: "Access-Control-Request-Headers"
    case .accessControlRequestMethod: "Access-Control-Request-Method"
    case .age: "Age"
    case .allow: "Allow"
    case .altSvc: "Alt-Svc"
    case .authorization: "Authorization"
    case .cacheControl: "Cache-Control"
    case .cacheStatus: "Cache-Status"
    case .connection: "Connection"
    case .contentDisposition: "Content-Disposition"
    case .contentEncoding: "Content-Encoding"
    case .contentLanguage: "Content-Language"
    case .contentLength: "Content-Length"
    case .contentLocation: "Content-Location"
    case .contentRange: "Content-Range"
    case .contentType: "Content-Type"
    case .cookie: "Cookie"
    case .date: "Date"
    case .etag: "ETag"
    case .expect: "Expect"
    case .expires: "Expires"
    case .forwarded: "Forwarded"
    case .host: "Host"
    case .ifMatch: "If-Match"
    case .ifModifiedSince: "If-Modified-Since"
    case .ifNoneMatch: "If-None-Match"
    case .ifRange: "If-Range"
    default: laterText
    }
  }

  /// The second half of the alphabet.
  private var laterText: StaticString {
    switch self {
    case .ifUnmodifiedSince: "If-Unmodified-Since"
    case .keepAlive: "Keep-Alive"
    case .lastModified: "Last-Modified"
    case .link: "Link"
    case .location: "Location"
    case .origin: "Origin"
    case .pragma: "Pragma"
    case .proxyAuthorization: "Proxy-Authorization"
    case .proxyConnection: "Proxy-Connection"
    case .range: "Range"
    case .referer: "Referer"
    case .retryAfter: "Retry-After"
    case .server: "Server"
    case .serverTiming: "Server-Timing"
    case .serviceWorker: "Service-Worker"
    case .setCookie: "Set-Cookie"
    case .strictTransportSecurity: "Strict-Transport-Security"
    case .te: "TE"
    case .traceparent: "traceparent"
    case .tracestate: "tracestate"
    case .trailer: "Trailer"
    case .transferEncoding: "Transfer-Encoding"
    case .upgrade: "Upgrade"
    case .userAgent: "User-Agent"
    case .vary: "Vary"
    case .via: "Via"
    case .wwwAuthenticate: "WWW-Authenticate"
    case .xChunkedOutput: "X-Chunked-Output"
    case .xContentTypeOptions: "X-Content-Type-Options"
    case .xForwardedFor: "X-Forwarded-For"
    case .xForwardedHost: "X-Forwarded-Host"
    case .xForwardedProto: "X-Forwarded-Proto"
    case .xIpfsPath: "X-Ipfs-Path"
    case .xIpfsRoots: "X-Ipfs-Roots"
    case .xRealIp: "X-Real-IP"
    case .xRequestId: "X-Request-ID"
    case .xRequestedWith: "X-Requested-With"
    case .xStreamError: "X-Stream-Error"
    case .xStreamOutput: "X-Stream-Output"
    default: ""
    }
  }
}
