internal import Base
internal import HTTP
internal import IPFS

/// The rules of one file, by what they are about.
///
/// Those of the file's reading lie in a table that is made once; those that have been appended since lie beside it, and a
/// reading anew takes them in. A copy is another state, and costs little: the table is shared.
public struct DenyRules: Sendable {
  /// Which of the digests there are at all: nobody computes the others.
  struct Forms: OptionSet {
    let rawValue: UInt8
    static let exact = Forms(rawValue: 1)
    static let tree = Forms(rawValue: 2)
  }

  private let table: DenyTable?
  /// Rules that came later than the table's, or found no room there.
  private var later: [Digest128: DenyMark] = [:]
  /// The lengths of prefixes below a root, ascending.
  private(set) var prefixLengths: [Digest128: [Int]] = [:]
  private(set) var forms: Forms = []
  /// The functions that `//` rules are hashed with.
  private(set) var functions: [HashFunction] = []
  /// Rules read, those counted in that replaced others.
  public private(set) var count = 0

  /// - Parameter rules: How many are expected, so that the table is of the right size; 0 for no table.
  public init(expecting rules: Int = 0) {
    table = rules > 0 ? DenyTable(rules: rules) : nil
  }

  /// Whether there is a rule that denies, and not only such as let pass.
  public private(set) var hasDenials = false

  /// How many rules are not in the table.
  public var laterCount: Int { later.count }

  /// Bytes of memory, as far as they grow with the rules.
  public var byteCount: Int {
    // A dictionary has room for a third more, and a byte for each place.
    (table?.byteCount ?? 0) + later.capacity * 32
      + prefixLengths.reduce(0) { $0 + 48 + 8 * $1.value.capacity }
  }

  /// Adds a rule that stands on a line; lines only grow.
  ///
  /// - Parameters:
  ///   - isBuilding: Whether the table still belongs to the caller alone.
  mutating func add(
    _ rule: DenyRule, _ mark: DenyMark, isBuilding: Bool, by digester: inout DenyDigester
  ) {
    count += 1
    if !mark.allows { hasDenials = true }
    if case .hash(let hash, let other) = rule.subject {
      add(hash, mark, isBuilding, &digester)
      if let other { add(other, mark, isBuilding, &digester) }
      return
    }
    digester.begin(rule.subject)
    if !rule.isPrefix {
      forms.insert(.exact)
      put(digester.digest(.exact, path: rule.path.rawBytes), mark, isBuilding)
    } else if rule.path.isEmpty {
      forms.insert(.tree)
      put(digester.digest(.tree), mark, isBuilding)
    } else {
      put(digester.digest(.prefix, path: rule.path.rawBytes), mark, isBuilding)
      note(length: rule.path.count, below: digester.digest(.prefixes))
    }
  }

  private mutating func add(
    _ hash: CID, _ mark: DenyMark, _ isBuilding: Bool, _ digester: inout DenyDigester
  ) {
    if !functions.contains(hash.hash) { functions.append(hash.hash) }
    put(digester.digest(hash: hash), mark, isBuilding)
  }

  private mutating func note(length: Int, below root: Digest128) {
    let lengths = prefixLengths[root] ?? []
    let place = lengths.firstIndex { $0 >= length } ?? lengths.endIndex
    guard place == lengths.endIndex || lengths[place] != length else { return }
    prefixLengths[root, default: []].insert(length, at: place)
  }

  private mutating func put(_ digest: Digest128, _ mark: DenyMark, _ isBuilding: Bool) {
    // What came later hides what the table has.
    if isBuilding, later.isEmpty || later[digest] == nil, let table, table.insert(digest, mark) {
      return
    }
    later[digest] = mark
  }

  func find(_ digest: Digest128) -> DenyMark? {
    if !later.isEmpty, let mark = later[digest] { return mark }
    return table?.find(digest)
  }
}
