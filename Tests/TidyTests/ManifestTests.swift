import Testing

@Suite struct ManifestTests {
  static let text = """
    let package = Package(
      name: "house",
      targets: [
        // Floor 0: doors to C.
        .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
        door("COpenSSL", "openssl", "libssl-dev"),
        // Floor 1
        room("Base"),
        tests("BaseTests", ["Base"]),
        // Floor 2, which has two
        room("System", ["Base", "CLinux"]),  // every system call
        room(
          "Codec",
          [
            "Base", .product(name: "Yams", package: "yams"),
          ]),
        // Floor 7
        .executableTarget(
          name: "sluice", dependencies: ["System", "Codec"], swiftSettings: settings),
        // The house's own rules
        tests("TidyTests", []),
      ],
      swiftLanguageModes: [.v6]
    )
    """

  @Test func readsTargets() {
    let expected: [(String, Int?, [String], Bool)] = [
      ("CLinux", 0, [], false), ("COpenSSL", 0, [], false), ("Base", 1, [], false),
      ("BaseTests", 1, ["Base"], true), ("System", 2, ["Base", "CLinux"], false),
      ("Codec", 2, ["Base", "Yams"], false), ("sluice", 7, ["System", "Codec"], false),
      ("TidyTests", nil, [], true),
    ]
    #expect(
      Manifest(Self.text).targets
        == expected.map { name, floor, imports, isTest in
          Manifest.Target(name: name, floor: floor, imports: imports, isTest: isTest)
        })
  }

  @Test func whatIsNoPackageHasNoTargets() {
    #expect(Manifest("let targets = [1]").targets.isEmpty)
  }
}
