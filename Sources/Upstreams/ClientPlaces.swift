public import Base
internal import Synchronization

/// Which region countries and continents belong to.
public struct PlaceRules: Equatable, Sendable {
  /// The place of a region by ISO 3166-1 codes, in upper case.
  public var countries: [String: Int]
  /// The same by AF, AN, AS, EU, NA, OC or SA, for countries that have no rule of their own.
  public var continents: [String: Int]

  public init(countries: [String: Int] = [:], continents: [String: Int] = [:]) {
    self.countries = countries
    self.continents = continents
  }

  /// The region of a country, or of its continent; nil where no rule has either.
  public func region(country: String?, continent: String?) -> Int? {
    if let country, let region = countries[country] { return region }
    return continent.flatMap { continents[$0] }
  }
}

/// Which region a client belongs to.
///
/// In this order: what a trusted proxy says of it; the operator's own networks, of which the smallest
/// counts; the database's networks; the default.
public final class ClientPlaces: Sendable {
  /// The name of the field in which trusted proxies say where a client is, in lower case; empty for none.
  public let header: [UInt8]
  public let rules: PlaceRules
  private let home: Int
  private let names: [[UInt8]: Int]
  private let networks: NetworkTable
  /// What the database says, as a table of regions; swapped whole.
  private let located = Mutex(NetworkTable())

  /// - Parameters:
  ///   - home: the place of the default region.
  ///   - regions: the regions' names, in the order of their places.
  ///   - networks: the operator's own, each with the place of a region.
  public init(
    home: Int = 0, header: String = "", regions: [String] = [],
    networks: [(network: Network, region: Int)] = [], rules: PlaceRules = PlaceRules()
  ) {
    self.home = home
    self.header = header.utf8.map(\.asciiLowercased)
    self.rules = rules
    names = Dictionary(
      regions.enumerated().map { (Array($0.element.utf8), $0.offset) },
      uniquingKeysWith: { first, _ in first })
    var builder = NetworkTable.Builder()
    for (network, region) in networks {
      if let value = NetworkTable.Value(exactly: region) { builder.add(network, value) }
    }
    self.networks = builder.build()
  }

  /// Takes what a database says in the place of what the last one said.
  public func use(_ table: NetworkTable) { located.withLock { $0 = table } }

  /// The place of a client's region.
  ///
  /// - Parameter mark: What a trusted proxy says of it; empty where none does, without meaning where it is
  ///   neither a region's name nor the code of a country that a rule has.
  public func region(of client: NetworkAddress?, mark: RawSpan) -> Int {
    if mark.byteCount > 0, let region = region(named: mark) { return region }
    guard let client else { return home }
    if let region = networks.value(of: client) { return Int(region) }
    if let region = located.withLock({ $0.value(of: client) }) { return Int(region) }
    return home
  }

  private func region(named mark: RawSpan) -> Int? {
    guard mark.byteCount <= Self.longestName else { return nil }
    let text = mark.array
    if let region = names[text] { return region }
    guard text.count == 2 else { return nil }
    let country = mark.text.uppercased()
    return rules.region(country: country, continent: Continent.of(country: country))
  }

  /// Names of regions are no longer than this.
  private static let longestName = 32
}
