import ArgumentParser
import Origin
import System

/// `sluice origin`: CAR files, served as a Kubo gateway would.
struct OriginCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "origin",
    abstract: "Serve CAR files as an IPFS gateway would, without a node.")

  @Option(name: .customLong("car"), help: "A CAR file, or a folder of them; may be repeated.")
  var cars: [String] = []

  @Option(
    name: .customLong("name"),
    help: "What a name below /ipns leads to, NAME=/ipfs/<cid>[,ttl=60s]; may be repeated.")
  var names: [String] = []

  @Option(
    name: .customLong("record"),
    help: "An IPNS record, <key>.ipns-record or KEY=FILE; may be repeated.")
  var records: [String] = []

  @Option(
    name: .customLong("subdomain-host"),
    help: "A host below which each root has its own, <cid>.ipfs.HOST; may be repeated.")
  var subdomainHosts: [String] = []

  @Flag(
    name: .customLong("allow-codec-conversion"),
    help: "Convert between dag-pb, dag-cbor and dag-json, instead of 406.")
  var convertsCodecs = false

  @Option(help: "Where to listen.")
  var listen = "127.0.0.1:8081"

  @Option(help: "Threads.")
  var workers = 1

  func run() throws {
    guard !cars.isEmpty else { throw ValidationError("--car FILE is needed at least once") }
    let options = try options()
    let signals = try Program.signals()
    let address = try Program.address(listen)
    let (cars, workers) = (cars, workers)
    let origin = try Program.origin { () throws(OriginServer.StartError) in
      try OriginServer(
        cars: cars, options: options, listen: address, workers: workers, log: Program.tell)
    }
    while true {
      if signals.next() == .stop { break }
    }
    origin.stop()
  }

  private func options() throws -> OriginOptions {
    var options = OriginOptions()
    options.subdomainHosts = subdomainHosts
    options.convertsCodecs = convertsCodecs
    for text in names {
      do throws(OriginName.Malformed) {
        options.names.append(try OriginName(parsing: text))
      } catch {
        throw ValidationError("--name \(error.sentence)")
      }
    }
    for text in records {
      do throws(OriginName.Malformed) {
        options.records.append(try OriginRecord(parsing: text))
      } catch {
        throw ValidationError("--record \(error.sentence)")
      }
    }
    return options
  }
}
