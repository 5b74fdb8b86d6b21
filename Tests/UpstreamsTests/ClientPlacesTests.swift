import Base
import Testing

@testable import Upstreams

@Suite struct ClientPlacesTests {
  private func places() throws -> ClientPlaces {
    let places = ClientPlaces(
      home: 0, header: "CF-IPCountry", regions: ["us", "eu", "asia", "de"],
      networks: [
        (try Network("2.0.0.0/8"), 1), (try Network("2.5.0.0/16"), 2),
        (try Network("2001:db8::/32"), 2),
      ],
      rules: PlaceRules(countries: ["CH": 2], continents: ["EU": 1, "AS": 2]))
    var builder = NetworkTable.Builder()
    builder.add(try Network("0.0.0.0/0"), 3)
    places.use(builder.build())
    return places
  }

  @Test(arguments: [
    // The operator's networks, the smallest first, then the database's.
    ("2.1.1.1", "", 1), ("2.5.1.1", "", 2), ("::ffff:2.5.1.1", "", 2), ("2001:db8::7", "", 2),
    ("9.9.9.9", "", 3), ("2001:db9::", "", 0), ("", "", 0),
    // A proxy's word goes before: a region's name, a country, its continent.
    ("2.1.1.1", "asia", 2), ("2.1.1.1", "de", 3), ("2.1.1.1", "CH", 2), ("2.1.1.1", "ch", 2),
    ("9.9.9.9", "FR", 1), ("9.9.9.9", "JP", 2), ("", "PL", 1),
    // What says nothing is passed over.
    ("2.1.1.1", "US", 1), ("2.1.1.1", "T1", 1), ("2.1.1.1", "XX", 1), ("2.1.1.1", "europe", 1),
    ("2.1.1.1", "EU", 1), ("9.9.9.9", "Asia", 3),
    ("9.9.9.9", "an-altogether-too-long-name-for-a-region", 3),
  ])
  func regions(client: String, mark: String, region: Int) throws {
    let found = try places().region(of: NetworkAddress(client), mark: Array(mark.utf8).rawBytes)
    #expect(found == region)
  }

  @Test func everyCountryHasOneContinent() {
    #expect(Continent.of(country: "DE") == "EU" && Continent.of(country: "US") == "NA")
    #expect(Continent.of(country: "BR") == "SA" && Continent.of(country: "NZ") == "OC")
    #expect(Continent.of(country: "EG") == "AF" && Continent.of(country: "AQ") == "AN")
    #expect(Continent.of(country: "VN") == "AS" && Continent.of(country: "ZZ") == nil)
  }
}
