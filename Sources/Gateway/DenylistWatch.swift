public import Admission
public import Base
internal import System

/// What became of a denylist's file.
public enum DenylistEvent: Sendable {
  /// A file was read whole.
  case read(path: String, rules: Int, invalid: Int)
  /// Rules were appended.
  case appended(path: String, rules: Int)
  /// The first lines of a reading that are no rules.
  case invalid(path: String, [DenyComplaint])
  /// A file cannot be used: what it had stays.
  case unusable(path: String, why: String)
  /// It can again.
  case usable(path: String)
}

/// A list as it is from now on.
public struct DenylistChange: Sendable {
  public var list: Denylist
  /// Only the rules that are new; nil where any may be.
  ///
  /// None where the same rules lie in another table: then the list is of the same generation.
  public var added: Denylist?
}

/// Reads denylists from their files and looks all along whether these have changed.
///
/// Belongs to one thread, which may wait for the disk.
public final class DenylistWatch {
  /// How often the files are looked at: what is appended is live after one look, what is rewritten after two.
  public static let pause = Interval.milliseconds(500)
  /// More files than that want to be one: each costs every question a look.
  public static let maximumFiles = 32

  private let sources: [DenylistSource]
  private let key = DenyKey()
  private let tell: (DenylistEvent) -> Void
  private var generation: UInt64 = 1
  private var complaints: [String?]
  private var lastGlance = Instant.zero
  /// What workers share.
  public let denials: Denials
  /// Called with each new list.
  public var changed: (DenylistChange) -> Void = { _ in }

  /// Reads all files, or throws with what is wrong with one: content that nobody may have is not given for a start.
  ///
  /// - Parameter readHeader: Reads a header's YAML.
  public convenience init(
    paths: [String],
    readHeader: @escaping @Sendable ([UInt8]) throws(DenylistUnusable) -> DenylistHeader,
    tell: @escaping (DenylistEvent) -> Void
  ) throws(DenylistUnusable) {
    try self.init(
      paths: paths, comparedBytes: DenylistSource.comparedBytes, readHeader: readHeader, tell: tell)
  }

  /// The same with the size up to which files are compared whole before lines count as appended.
  init(
    paths: [String], comparedBytes: Int,
    readHeader: @escaping @Sendable ([UInt8]) throws(DenylistUnusable) -> DenylistHeader,
    tell: @escaping (DenylistEvent) -> Void
  ) throws(DenylistUnusable) {
    let key = key
    sources = paths.map {
      DenylistSource(path: $0, key: key, comparedBytes: comparedBytes, readHeader: readHeader)
    }
    complaints = Array(repeating: nil, count: paths.count)
    self.tell = tell
    for source in sources {
      do throws(DenylistUnusable) {
        _ = try source.look(at: Clock.now, mayBuild: true) {}
      } catch {
        throw DenylistUnusable("\(source.path): \(error.sentence)")
      }
    }
    denials = Denials(
      Denylist(sources.map(\.rules), key: key, generation: generation), paths: paths)
    for source in sources { told(.replaced, of: source) }
    denials.note(files)
  }

  /// Looks at all files once.
  public func look() { look(mayBuild: true) }

  private func look(mayBuild: Bool) {
    lastGlance = Clock.now
    var added: [DenyRules]? = []
    var isChanged = false
    var isRebuilt = false
    for (place, source) in sources.enumerated() {
      var news = DenylistSource.News.none
      do throws(DenylistUnusable) {
        news = try source.look(at: Clock.now, mayBuild: mayBuild) {
          // Others are not kept waiting by one that is long.
          if mayBuild, Clock.now - lastGlance > Self.pause { look(mayBuild: false) }
        }
        // What waits to be read has not been found to be usable.
        if case .waiting = news {
          added?.append(DenyRules())
          continue
        }
        if complaints[place] != nil {
          complaints[place] = nil
          tell(.usable(path: source.path))
        }
      } catch {
        if complaints[place] != error.sentence {
          complaints[place] = error.sentence
          tell(.unusable(path: source.path, why: error.sentence))
        }
      }
      switch news {
      case .none, .waiting: added?.append(DenyRules())
      case .rebuilt:
        isRebuilt = true
        added?.append(DenyRules())
      case .appended(let rules):
        isChanged = true
        added?.append(rules)
      case .replaced:
        isChanged = true
        added = nil
      }
      told(news, of: source)
    }
    if isChanged || isRebuilt {
      // The same rules in another table are no other list.
      if isChanged { generation += 1 }
      let list = Denylist(sources.map(\.rules), key: key, generation: generation)
      denials.take(list)
      denials.note(files)
      changed(
        DenylistChange(
          list: list, added: added.map { Denylist($0, key: key, generation: generation) }))
    }
    denials.note(files)
  }

  private func told(_ news: DenylistSource.News, of source: DenylistSource) {
    switch news {
    case .none, .waiting, .rebuilt: return
    case .appended(let rules): tell(.appended(path: source.path, rules: rules.count))
    case .replaced:
      tell(
        .read(path: source.path, rules: source.rules.count, invalid: source.invalidLines))
    }
    let complaints = source.takeComplaints()
    if !complaints.isEmpty { tell(.invalid(path: source.path, complaints)) }
  }

  private var files: [Denials.File] {
    zip(sources, complaints).map { source, complaint in
      Denials.File(
        path: source.path, rules: source.rules.count, invalidLines: source.invalidLines,
        bytes: source.rules.byteCount, isUsable: complaint == nil, places: source.places)
    }
  }
}
