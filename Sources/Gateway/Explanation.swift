public import Base
public import IPFS

/// What somebody asks about: a request as a client would send it.
public struct ContentQuestion: Sendable {
  /// The request-target: a path with its query, or a whole http or https URL.
  public var target: String
  /// The host asked; what a URL names goes before it.
  public var host: String
  /// The value of Accept; empty for none.
  public var accept: String

  public init(target: String, host: String, accept: String = "") {
    self.target = target
    self.host = host
    self.accept = accept
  }
}

/// What the gateway knows of a request's content, and what it would do with the request.
public struct Explanation: Sendable {
  /// What a request comes to, before anything is looked up.
  public enum Route: Sendable {
    /// Content that is kept under its CID.
    case content
    /// Content by a name; kept under what the name leads to.
    case name
    /// Content whose bytes are in its own CID: no server and no cache is needed.
    case inline
    /// Given on as it is, and not kept.
    case passThrough
    case redirect(location: String)
    /// An answer of the gateway's own, such as `/health`.
    case own
    case refused(status: Int, sentence: String)
  }

  /// A name below `/ipns`, as it is known now.
  public struct Name: Sendable {
    /// For how far what is known counts; see `NameTable`.
    public enum State: String, Sendable { case unknown, fresh, due, past }

    public var text: String
    public var state = State.unknown
    /// What it leads to; nil where that is not known.
    public var root: CID?
    /// Seconds since it was resolved.
    public var age: Int64 = 0
    /// For how many seconds it counts.
    public var ttl: Int64 = 0
  }

  /// What is asked for, as keys have it.
  public struct Content: Sendable {
    public var root: CID
    /// Decoded; empty, or begins with a slash.
    public var path: [UInt8]
    /// The name of the form: `file`, `raw`, `car` and so on.
    public var form: String
    /// `path`, `subdomain` or `dnslink`: which kind of host it is of.
    public var origin: String
    /// The canonical key's hash in the index.
    public var hash: Digest128
  }

  /// One object that the index has of the content.
  public struct Kept: Sendable {
    public var form: String
    public var origin: String
    /// What was asked of a CAR, as a query has it, or the file extension that made the type.
    public var variant: String
    /// Whether it is the one that the request asks for.
    public var isAsked: Bool
    public var bytes: Int64
    /// When its head was fetched, in seconds since 1970.
    public var created: Int64
    public var etag: String
    public var contentType: String
    /// The server that gave the head; empty for what was kept before that was noted.
    public var server: String
    /// Whether the bytes were held against their CID.
    public var isVerified: Bool
    public var sliceBytes: Int
    public var slices: Int
    /// Slices on the disk.
    public var present: Int
    /// Slices that a client was given from the disk since they were written or the process began; small
    /// bodies that share a page share this too.
    public var hit: Int
    /// Whether only some of the slices were looked at, since there are so many.
    public var isCutShort: Bool
  }

  /// What is remembered of failures.
  public enum Absence: Sendable {
    /// It is proven that nothing is there.
    case absent
    /// It failed with this status, and is asked for again after so long.
    case failing(status: Int, wait: Interval)
  }

  /// Why it is given to nobody.
  public struct Denial: Sendable {
    /// The status that clients get: 410 or 451.
    public var status: Int
    /// The rule as it stands in its file now; nil where that cannot be read.
    public var rule: String?
    /// The rule's file and line.
    public var place: String
  }

  public var route: Route
  /// The denylist's verdict; nil where no rule is known to deny it.
  ///
  /// What a path leads through is known only of what is kept.
  public var denial: Denial?
  /// What the host is: `path`, `subdomains`, `subdomain`, `dnslink`, `foreign`, `invalid` or `unknown`.
  public var host: String
  /// Where the gateway sends such a request first; what follows is about that place.
  public var redirect: String?
  public var name: Name?
  public var content: Content?
  /// The forms of the content that are here, what was asked for first.
  ///
  /// CARs of a range of bytes, and files under an extension that only a gateway knows, are found only
  /// where they are what was asked for.
  public var kept: [Kept] = []
  /// Whether it is being fetched now.
  public var isBeingFetched = false
  /// Nil where nothing speaks against asking for it.
  public var absence: Absence?
  /// The status that the site itself gives in place of what is absent; nil where none is remembered.
  public var siteStatus: Int?
  /// Why the index could not be read; nil where it could.
  public var fault: Fault?

  init(route: Route, host: String) {
    self.route = route
    self.host = host
  }
}
