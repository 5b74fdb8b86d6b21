internal import Base
internal import HTTP
public import IPFS

/// All rules as they are at one moment, those of one file after the other: what may not be given.
///
/// Of all rules about a thing the last one decides; those of a later file count as later. Workers share it and ask
/// without a lock. A change makes another one, of the next generation.
public final class Denylist: Sendable {
  /// Tells it from the ones before it; from 1.
  public let generation: UInt64
  public let files: [DenyRules]
  private let key: DenyKey
  private let forms: DenyRules.Forms
  private let hasPrefixes: Bool
  private let functions: [HashFunction]

  public init(_ files: [DenyRules], key: DenyKey, generation: UInt64) {
    self.files = files
    self.key = key
    self.generation = generation
    forms = files.reduce(into: []) { $0.formUnion($1.forms) }
    hasPrefixes = files.contains { !$0.prefixLengths.isEmpty }
    var functions: [HashFunction] = []
    for function in files.flatMap(\.functions) where !functions.contains(function) {
      functions.append(function)
    }
    self.functions = functions
  }

  /// Whether there is no rule at all.
  public var isEmpty: Bool { forms.isEmpty && !hasPrefixes && functions.isEmpty }

  /// Whether there is one that denies.
  public var hasDenials: Bool { files.contains(where: \.hasDenials) }

  // MARK: Questions

  /// The rule that decides on a path below a CID, as paths are resolved: the root's own block is not asked about.
  ///
  /// - Parameter path: Decoded; slashes at its ends mean nothing.
  public func rule(of root: CID, path: RawSpan) -> DenyFinding? {
    find(.content(root), path, withRoot: false)
  }

  /// The rule that decides on a path below a name; what the name leads to is another question.
  public func rule(of name: DenyName, path: RawSpan) -> DenyFinding? {
    find(.name(name), path, withRoot: false)
  }

  /// The rule by which content is denied: one about the path, or about the root, without whose block nothing below it
  /// can be had.
  ///
  /// The last of them decides: a path that is let pass after its root was denied is not denied. A rule that lets the
  /// root pass is one about the root: what earlier ones deny below it stays denied.
  public func denial(of root: CID, path: RawSpan) -> DenyFinding? {
    Self.denial(find(.content(root), path, withRoot: true))
  }

  /// The same for a path below a name.
  public func denial(of name: DenyName, path: RawSpan) -> DenyFinding? {
    Self.denial(find(.name(name), path, withRoot: true))
  }

  private static func denial(_ finding: DenyFinding?) -> DenyFinding? {
    finding.flatMap { $0.mark.allows ? nil : $0 }
  }

  // MARK: Looking

  private func find(
    _ subject: DenyRule.Subject, _ whole: RawSpan, withRoot: Bool
  ) -> DenyFinding? {
    guard !isEmpty else { return nil }
    let path = DenyPath.trimmed(whole)
    let asksRoot = withRoot && path.byteCount > 0
    var best: DenyFinding?
    var ofRoot: DenyFinding?
    var digester = DenyDigester(key)
    if !forms.isEmpty || hasPrefixes {
      digester.begin(subject)
      if forms.contains(.exact) {
        look(digester.digest(.exact, path: path), &best)
        if asksRoot { look(digester.digest(.exact), &ofRoot) }
      }
      if forms.contains(.tree) { look(digester.digest(.tree), &best) }
      if hasPrefixes {
        let marker = digester.digest(.prefixes)
        for file in files {
          for length in file.prefixLengths[marker] ?? [] where length <= path.byteCount {
            look(digester.digest(.prefix, path: path.extracting(0..<length)), &best)
          }
        }
      }
    }
    if !functions.isEmpty {
      lookForHash(subject, path, &digester, &best)
      if asksRoot { lookForHash(subject, RawSpan(), &digester, &ofRoot) }
    }
    guard let ofRoot, !ofRoot.mark.allows else { return best }
    guard let best, (best.file, best.mark.line) > (ofRoot.file, ofRoot.mark.line) else {
      return ofRoot
    }
    return best
  }

  private func lookForHash(
    _ subject: DenyRule.Subject, _ path: RawSpan, _ digester: inout DenyDigester,
    _ best: inout DenyFinding?
  ) {
    for text in DenyDigester.texts(of: subject, path: path) {
      for function in functions {
        guard let digest = digester.digest(of: text, by: function) else { continue }
        look(digest, &best)
      }
    }
  }

  /// Takes what is found for a digest, where it comes later than what was found before.
  private func look(_ digest: Digest128, _ best: inout DenyFinding?) {
    for file in files.indices.reversed() {
      if let best, file < best.file { return }
      guard let mark = files[file].find(digest) else { continue }
      if let found = best, found.file == file, mark.line <= found.mark.line { return }
      best = DenyFinding(file: file, mark: mark)
      return
    }
  }
}
