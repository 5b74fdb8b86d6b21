/// The continent of a country, for what a proxy says of a client: that has the country alone.
enum Continent {
  /// ISO 3166-1 alpha-2 codes by the continents of GeoNames, as MaxMind's databases have them (2026-11).
  private static let countries: [(continent: String, codes: String)] = [
    (
      "AF",
      """
      DZ AO BJ BW BF BI CV CM CF TD KM CG CD CI DJ EG GQ ER SZ ET GA GM GH GN GW KE LS LR \
      LY MG MW ML MR MU YT MA MZ NA NE NG RE RW SH ST SN SC SL SO ZA SS SD TZ TG TN UG EH \
      ZM ZW
      """
    ),
    ("AN", "AQ BV GS HM TF"),
    (
      "AS",
      """
      AF AM AZ BH BD BT BN KH CN CC CX GE HK IN ID IR IQ IL IO JP JO KZ KP KR KW KG LA LB \
      MO MY MV MN MM NP OM PK PS PH QA SA SG LK SY TW TJ TH TL TR TM AE UZ VN YE
      """
    ),
    (
      "EU",
      """
      AX AL AD AT BY BE BA BG HR CY CZ DK EE FO FI FR DE GI GR GG VA HU IS IE IM IT JE XK \
      LV LI LT LU MT MD MC ME NL MK NO PL PT RO RU SM RS SK SI ES SJ SE CH UA GB
      """
    ),
    (
      "NA",
      """
      AI AG AW BS BB BZ BM BQ VG CA KY CR CU CW DM DO SV GL GD GP GT HT HN JM MQ MX MS NI \
      PA PR BL KN LC MF PM VC SX TT TC US VI
      """
    ),
    ("OC", "AS AU CK FJ PF GU KI MH FM NR NC NZ NU NF MP PW PG PN WS SB TK TO TV UM VU WF"),
    ("SA", "AR BO BR CL CO EC FK GF GY PY PE SR UY VE"),
  ]

  private static let byCountry: [String: String] = {
    var continents: [String: String] = [:]
    for (continent, codes) in countries {
      for code in codes.split(separator: " ") { continents[String(code)] = continent }
    }
    return continents
  }()

  /// The code of a country's continent; nil where the country is not known.
  static func of(country: String) -> String? { byCountry[country] }
}
