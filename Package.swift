// swift-tools-version: 6.3
// The floors of the house, lowest first. A target imports only what its line names; a test reads
// this file beside the import lines of Sources and holds the one against the other.
import PackageDescription

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  // What crosses targets costs nothing only with this (public generics 0.96 ns instead of 50).
  // Exclusive access is checked at run time in debug builds, which all tests run on; in release the
  // checks cost a sixth of a hit's own time, so there the tests' word is taken.
  .unsafeFlags(
    ["-cross-module-optimization", "-enforce-exclusivity=unchecked"],
    .when(configuration: .release)),
]

func room(_ name: String, _ imports: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: imports, exclude: [], swiftSettings: settings)
}

func tests(_ name: String, _ imports: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: imports, swiftSettings: testSettings)
}

// Tests may use Foundation and pointers without ceremony; warnings are errors there too.
let testSettings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

func door(_ name: String, _ pkgConfig: String, _ package: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
  name: "sluice",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // Floor 0: doors to C.
    .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CBlocks"),
    door("COpenSSL", "openssl", "libssl-dev"),
    door("CLMDB", "lmdb", "liblmdb-dev"),
    door("CXXHash", "libxxhash", "libxxhash-dev"),
    door("CMaxMindDB", "libmaxminddb", "libmaxminddb-dev"),
    door("CNghttp2", "libnghttp2", "libnghttp2-dev"),
    // Floor 1
    room("Base"),
    tests("BaseTests", ["Base"]),
    // Floor 2
    room("System", ["Base", "CLinux"]),
    tests("SystemTests", ["Base", "System"]),
    room("HTTP", ["Base"]),
    tests("HTTPTests", ["Base", "HTTP"]),
    room("IPFS", ["Base", "COpenSSL", "CXXHash"]),
    tests("IPFSTests", ["Base", "IPFS", "COpenSSL"]),
    // Floor 3
    room("EventLoop", ["Base", "System"]),
    tests("EventLoopTests", ["Base", "System", "EventLoop"]),
    room("Telemetry", ["Base", "System", .product(name: "Logging", package: "swift-log")]),
    tests(
      "TelemetryTests",
      ["Base", "System", "Telemetry", .product(name: "Logging", package: "swift-log")]),
    room("TLS", ["Base", "System", "CBlocks", "COpenSSL"]),
    tests("TLSTests", ["Base", "System", "TLS", "CBlocks", "COpenSSL", "TestKit"]),
    room("HTTP1", ["Base", "HTTP"]),
    tests("HTTP1Tests", ["Base", "HTTP", "HTTP1"]),
    room("HTTP2", ["Base", "HTTP", "CNghttp2"]),
    tests("HTTP2Tests", ["Base", "HTTP", "HTTP2", "CNghttp2", "TestKit"]),
    // Floor 4
    room(
      "Server",
      ["Base", "System", "HTTP", "Telemetry", "EventLoop", "TLS", "HTTP1", "HTTP2"]),
    tests(
      "ServerTests",
      [
        "Base", "System", "HTTP", "Telemetry", "EventLoop", "HTTP1", "HTTP2", "Server", "TestKit",
      ]),
    room("Router", ["Base", "HTTP", "IPFS"]),
    tests("RouterTests", ["Base", "HTTP", "HTTP1", "IPFS", "Router"]),
    room("Admission", ["Base", "HTTP", "IPFS"]),
    tests("AdmissionTests", ["Base", "HTTP", "IPFS", "Admission"]),
    room("Cache", ["Base", "System", "EventLoop", "CLMDB", "CXXHash"]),
    tests("CacheTests", ["Base", "System", "EventLoop", "Cache"]),
    room(
      "Upstreams",
      ["Base", "System", "HTTP", "Telemetry", "EventLoop", "TLS", "HTTP1", "CMaxMindDB"]),
    tests(
      "UpstreamsTests",
      ["Base", "System", "HTTP", "Telemetry", "EventLoop", "HTTP1", "Upstreams", "TestKit"]),
    // Floor 5
    room(
      "Gateway",
      [
        "Base", "System", "HTTP", "IPFS", "EventLoop", "Telemetry", "HTTP1", "Server", "Router",
        "Admission", "Cache", "Upstreams", .product(name: "Logging", package: "swift-log"),
      ]),
    tests(
      "GatewayTests",
      [
        "Base", "HTTP", "HTTP1", "IPFS", "Telemetry", "Router", "Admission", "Cache", "Gateway",
      ]),
    room(
      "Origin",
      [
        "Base", "System", "HTTP", "IPFS", "EventLoop", "Telemetry", "HTTP1", "Server", "CXXHash",
      ]),
    tests(
      "OriginTests",
      [
        "Base", "System", "HTTP", "IPFS", "EventLoop", "Telemetry", "HTTP1", "Server", "Origin",
        "COpenSSL",
      ]),
    // Floor 6
    room("Configuration", ["Base", "HTTP", "Router", "Yams"]),
    tests("ConfigurationTests", ["Configuration", "Base", "Router", "Yams"]),
    room(
      "Admin",
      [
        "Base", "System", "HTTP", "IPFS", "EventLoop", "HTTP1", "Telemetry", "TLS", "Server",
        "Cache",
        "Upstreams", "Gateway", .product(name: "Logging", package: "swift-log"),
      ]),
    tests("AdminTests", ["Base", "System", "HTTP", "HTTP1", "IPFS", "Gateway", "Admin"]),
    // Floor 7
    .executableTarget(
      name: "sluice",
      dependencies: [
        "Base", "System", "HTTP", "EventLoop", "Telemetry", "TLS", "HTTP1", "HTTP2", "Server",
        "Router", "Admission", "Cache",
        "Upstreams", "Gateway", "Origin", "Admin", "Configuration",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: settings),
    // The whole gateway in simulated time
    tests(
      "SimulationTests",
      [
        "Base", "System", "HTTP", "IPFS", "EventLoop", "Telemetry", "HTTP1", "Server", "Router",
        "Admission", "Cache", "Upstreams", "Gateway",
        .product(name: "Logging", package: "swift-log"),
      ]),
    // Floor 8: the whole program from outside; its tests run the binary built beside them.
    .target(
      name: "TestKit", dependencies: ["Base", "IPFS", "Origin", "CNghttp2", "CXXHash"],
      path: "Tests/TestKit",
      swiftSettings: testSettings),
    tests("EndToEndTests", ["Base", "IPFS", "TestKit", "sluice"]),
    // Floor 8, for benches: builds large caches; no part of the product.
    .executableTarget(
      name: "CacheFill",
      dependencies: [
        "Base", "System", "HTTP", "IPFS", "HTTP1", "Router", "Cache", "CLMDB",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "bench/fill", swiftSettings: settings),
    // Floor 8, for benches: what it costs to find a client's network among a million.
    .executableTarget(
      name: "PlaceLookUp", dependencies: ["Base", "System"], path: "bench/places",
      swiftSettings: settings),
    // Floor 8, for benches: what a limit's check costs at a million clients.
    .executableTarget(
      name: "LimitCheck", dependencies: ["Base", "System", "Admission"], path: "bench/limits",
      swiftSettings: settings),
    // Floor 8, for benches: what ten million rules of a denylist cost.
    .executableTarget(
      name: "DenylistLookUp",
      dependencies: [
        "Base", "System", "IPFS", "Admission", "Gateway",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "bench/denylist", swiftSettings: settings),
    // The house's own rules
    tests("TidyTests", []),
  ],
  swiftLanguageModes: [.v6]
)
