import Admin
import ArgumentParser
import Base
import System

/// `sluice stats`: what a running gateway does, once or all along.
struct StatsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats", abstract: "Show what a running gateway does.",
    discussion: "Counts are since its start. " + AdminExit.discussion)

  @OptionGroup var options: AdminOptions

  @Flag(help: "Print a line every few seconds, of what has happened since the one before.")
  var watch = false

  @Option(help: "The seconds between two lines of --watch.")
  var interval = 2

  @Option(help: "How many lines of --watch are printed; 0 for no end.")
  var lines = 0

  func validate() throws {
    guard (1...3_600).contains(interval) else {
      throw ValidationError("--interval is a number of seconds from 1 to 3600")
    }
    guard lines >= 0 else { throw ValidationError("--lines is 0 or more") }
  }

  func run() throws {
    let request = AdminClient.Request(target: "/api/v1/stats")
    var last = try options.ask(request)
    if !watch {
      print(options.json ? last.lines : StatsText.page(last))
      return
    }
    let pause = Monitor(false)
    var printed = 0
    while lines == 0 || printed < lines {
      let _: Bool? = pause.wait(until: Clock.now + .seconds(interval)) { _ in nil }
      let now: JSONValue
      do {
        now = try options.ask(request)
      } catch let code as ExitCode where code == AdminExit.unavailable {
        // It is being restarted, perhaps; that nobody answers has been told, and is this line.
        printed += 1
        continue
      }
      if options.json {
        Program.say(String(decoding: now.text, as: UTF8.self))
      } else {
        if printed % 20 == 0 { Program.say(StatsText.titles) }
        Program.say(StatsText.line(from: last, to: now, seconds: Double(interval)))
      }
      last = now
      printed += 1
    }
  }
}

/// Statistics as text for people.
enum StatsText {
  static func page(_ stats: JSONValue) -> String {
    func number(_ section: String, _ name: String) -> Int { stats[section]?[name]?.integer ?? 0 }
    func count(_ section: String, _ name: String) -> String { Shown.count(number(section, name)) }
    let cache = stats["cache"]
    let age = cache?["oldest_segment_age_seconds"]?.integer
    let refused = number("cache", "refused_jobs")
    var lines = [
      "sluice \(stats["version"]?.string ?? "?"), up "
        + "\(Shown.duration(stats["uptime_seconds"]?.integer ?? 0)), "
        + "\(stats["workers"]?.integer ?? 0) workers, "
        + "\(Shown.count(stats["connections"]?.integer ?? 0)) connections", "",
    ]
    let requests = ["hit", "miss", "collapsed", "partial", "bypass", "error", "none"]
    lines += [
      "hit ratio   \(Shown.percent(stats["hit_ratio"]?["requests"]?.real)) of requests, "
        + "\(Shown.percent(stats["hit_ratio"]?["bytes"]?.real)) of bytes",
      "requests    \(count("requests", "total")): "
        + requests.map { "\(count("requests", $0)) \($0)" }.joined(separator: ", "),
      "bytes       \(Shown.bytes(number("bytes", "sent"))) sent, "
        + "\(Shown.bytes(number("bytes", "fetched"))) fetched, "
        + "\(Shown.bytes(number("bytes", "verified"))) checked against their CID",
      "fills       \(count("fills", "in_flight")) in flight, \(count("fills", "begun")) begun, "
        + "\(count("fills", "joined")) joined",
      "cache       \(Shown.bytes(number("cache", "bytes"))) of "
        + "\(Shown.bytes(number("cache", "max_bytes"))), "
        + "\(Shown.count(number("cache", "entries"), "object")) in "
        + "\(Shown.count(number("cache", "segments"), "segment")), \(count("cache", "evictions")) evicted"
        + (age.map { ", oldest \(Shown.duration($0)) ago" } ?? "")
        + (refused > 0 ? ", \(Shown.count(refused, "write")) refused" : ""), "",
    ]
    var table = TextTable(
      ["server", "state", "active", "waiting", "requests", "errors"], numbers: [2, 3, 4, 5])
    for region in stats["regions"]?.elements ?? [] {
      for server in region["servers"]?.elements ?? [] {
        table.add(
          [server["name"]?.string ?? "?", server["state"]?.string ?? "?"]
            + ["active", "waiting", "requests", "errors"].map {
              Shown.count(server[$0]?.integer ?? 0)
            })
      }
    }
    return (lines + [table.text]).joined(separator: "\n")
  }

  static let titles = row([
    "requests/s", "hits", "of bytes", "sent/s", "fetched/s", "fills", "connections", "errors",
    "evicted",
  ])

  /// What has happened between two answers.
  static func line(from old: JSONValue, to new: JSONValue, seconds: Double) -> String {
    func change(_ section: String, _ name: String) -> Int {
      // A gateway that was started anew counts from zero.
      max(0, (new[section]?[name]?.integer ?? 0) - (old[section]?[name]?.integer ?? 0))
    }
    func ratio(_ part: Int, _ whole: Int) -> Double? {
      whole > 0 ? Double(part) / Double(whole) : nil
    }
    let asked = ["hit", "miss", "collapsed", "partial"].reduce(0) { $0 + change("requests", $1) }
    let cached = change("bytes", "content_from_cache")
    let fetched = change("bytes", "content_from_upstream")
    return row([
      Shown.decimal(Double(change("requests", "total")) / seconds),
      Shown.percent(ratio(change("requests", "hit"), asked)),
      Shown.percent(ratio(cached, cached + fetched)),
      Shown.bytes(Int(Double(change("bytes", "sent")) / seconds)),
      Shown.bytes(Int(Double(change("bytes", "fetched")) / seconds)),
      Shown.count(new["fills"]?["in_flight"]?.integer ?? 0),
      Shown.count(new["connections"]?.integer ?? 0), Shown.count(change("requests", "error")),
      Shown.count(change("cache", "evictions")),
    ])
  }

  private static func row(_ cells: [String]) -> String {
    cells.map { String(repeating: " ", count: max(0, 11 - $0.count)) + $0 }.joined(separator: " ")
  }
}
