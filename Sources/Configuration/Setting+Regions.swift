import Base
import Yams

extension Setting where Root == Settings {
  /// The mapping of region names to regions.
  init(
    _ name: String, regions table: [Setting<Settings.Region>], _ help: String
  ) {
    let expected = "regions by name, each with its servers"
    self.name = name
    self.help = help
    self.expected = expected
    self.isRequired = false
    self.read = { node, root, reader, place in
      guard case .mapping(let pairs) = node, !pairs.isEmpty else {
        reader.complain("\(place) is not such a mapping; expected \(expected)", at: node)
        return
      }
      guard pairs.count <= Settings.Region.maximumCount else {
        reader.complain(
          "\(place) has \(pairs.count) entries; expected at most \(Settings.Region.maximumCount)",
          at: node)
        return
      }
      var regions: [Settings.Region] = []
      for (key, value) in pairs {
        guard let regionName = reader.key(key) else { continue }
        guard Settings.Region.isName(regionName) else {
          reader.complain(
            "\(place): '\(regionName)' is no region name; expected \(Settings.Region.form)", at: key
          )
          continue
        }
        var region = Settings.Region(name: regionName, servers: [])
        reader.mapping(value, into: &region, by: table, at: "\(place).\(regionName)")
        regions.append(region)
      }
      root.regions = regions
    }
    self.show = { root in
      .block(
        root.regions.flatMap { region in
          ["\(region.name):"] + SettingsPrinter.lines(of: region, by: table).map { "  " + $0 }
        })
    }
  }
}

extension Setting where Root == Settings.Region {
  /// The regions to ask after this one: `all`, or a list of names.
  init(_ name: String, next path: any WritableKeyPath<Root, Settings.Region.Next> & Sendable) {
    let expected = "all, or a list of other regions' names in brackets"
    self.name = name
    self.help = "The regions to ask, in order, where this one cannot answer."
    self.expected = expected
    self.isRequired = false
    self.read = { node, root, reader, place in
      if case .scalar(let scalar) = node, scalar.string == "all" {
        root[keyPath: path] = .all
        return
      }
      guard
        let nodes = reader.list(
          node, atMost: Settings.Region.maximumCount, at: place, expected: expected)
      else { return }
      root[keyPath: path] = .regions(
        nodes.enumerated().compactMap { reader.value($1, .regionName, at: "\(place)[\($0)]") })
    }
    self.show = { root in
      switch root[keyPath: path] {
      case .all: .scalar("all")
      case .regions(let names) where names.isEmpty: .plain("[]")
      case .regions(let names): .block(names.map { "- \(SettingsPrinter.quotedIfNeeded($0))" })
      }
    }
  }
}

extension Setting where Root == Settings {
  /// A mapping of regions' names to lists of networks.
  init(
    _ name: String,
    networks path: any WritableKeyPath<Root, [Settings.Geo.Networks]> & Sendable, _ help: String
  ) {
    let expected = "regions' names, each with a list of networks in brackets"
    let kind = Kind<Network>.network
    self.name = name
    self.help = help
    self.expected = expected
    self.isRequired = false
    self.read = { node, root, reader, place in
      guard let pairs = reader.mapping(node, at: place, expected: expected) else { return }
      var found: [Settings.Geo.Networks] = []
      var owners: [Network: String] = [:]
      for (key, value) in pairs {
        guard let region = reader.key(key) else { continue }
        let here = "\(place).\(region)"
        guard
          let nodes = reader.list(
            value, atMost: Settings.Geo.maximumNetworks, at: here, expected: kind.expected)
        else { continue }
        var networks: [Network] = []
        for (index, node) in nodes.enumerated() {
          guard let network = reader.value(node, kind, at: "\(here)[\(index)]") else { continue }
          if let owner = owners.updateValue(region, forKey: network) {
            reader.complain(
              "\(here)[\(index)]: \(network) is \(owner)'s already; expected it once", at: node)
          }
          networks.append(network)
        }
        reader.note(key, as: here)
        found.append(Settings.Geo.Networks(region: region, networks: networks))
      }
      root[keyPath: path] = found
    }
    self.show = { root in
      let found = root[keyPath: path]
      guard !found.isEmpty else { return .plain("{}") }
      return .block(
        found.flatMap { entry -> [String] in
          let key = SettingsPrinter.quotedIfNeeded(entry.region)
          if entry.networks.isEmpty { return ["\(key): []"] }
          return ["\(key):"]
            + entry.networks.map { "  - " + SettingsPrinter.quotedIfNeeded(kind.show($0)) }
        })
    }
  }

  /// A mapping of codes of two letters to regions' names.
  init(
    _ name: String, codes path: any WritableKeyPath<Root, [Settings.Geo.Rule]> & Sendable,
    among known: [String]? = nil, _ help: String
  ) {
    let codes = known.map { $0.joined(separator: ", ") } ?? "codes of two letters (ISO 3166)"
    let expected = "\(codes), each with a region's name"
    self.name = name
    self.help = help
    self.expected = expected
    self.isRequired = false
    self.read = { node, root, reader, place in
      guard let pairs = reader.mapping(node, at: place, expected: expected) else { return }
      var rules: [Settings.Geo.Rule] = []
      for (key, value) in pairs {
        guard let text = reader.key(key) else { continue }
        let code = text.uppercased()
        let isCode = code.utf8.count == 2 && code.utf8.allSatisfy { (0x41...0x5a).contains($0) }
        if !isCode || known.map({ !$0.contains(code) }) ?? false {
          reader.complain("\(place): '\(text)' is no code; expected \(codes)", at: key)
        } else if rules.contains(where: { $0.code == code }) {
          reader.complain("\(place): '\(text)' is there already; expected it once", at: key)
        }
        let here = "\(place).\(text)"
        guard let region = reader.value(value, .regionName, at: here) else { continue }
        reader.note(key, as: "\(place).\(code)")
        rules.append(Settings.Geo.Rule(code: code, region: region))
      }
      root[keyPath: path] = rules
    }
    self.show = { root in
      let rules = root[keyPath: path]
      // NO is Norway, and false to some readers of YAML.
      return rules.isEmpty
        ? .plain("{}")
        : .block(rules.map { "\"\($0.code)\": \(SettingsPrinter.quotedIfNeeded($0.region))" })
    }
  }
}

extension Settings.Region {
  /// A client's region is a number of 16 bits, and people name far fewer.
  static let maximumCount = 1_000
  static let form = "1 to 32 of a-z, 0-9, - and _"

  /// Whether the text can stand in logs and metrics as a region's name.
  static func isName(_ text: String) -> Bool {
    (1...32).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x5F
      }
  }
}

extension Settings.Geo {
  /// As many as a file of the largest size can hold.
  static let maximumNetworks = 100_000
}
