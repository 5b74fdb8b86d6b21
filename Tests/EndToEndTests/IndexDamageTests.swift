import Base
import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// An index whose file is not what it was: the gateway starts, says so, and serves.
  @Suite struct IndexDamage {
    enum Damage: Sendable, CustomTestStringConvertible {
      case empty, text, halved, shortened, aFolder, lockFolder, lockText, zeros, newerFormat
      /// Random bytes over so many pages, from a seed.
      case pages(Int, seed: UInt64)
      /// A bit here and there.
      case bits(Int, seed: UInt64)

      var testDescription: String { "\(self)" }

      /// Whether the gateway must notice at its first start.
      var isPlain: Bool {
        switch self {
        case .empty, .lockFolder, .lockText, .pages, .bits: false
        default: true
        }
      }

      func make(in index: String) throws {
        let file = index + "/data.mdb"
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: file)))
        switch self {
        case .empty: bytes = []
        case .text: bytes = Array("This was an index once.\n".utf8)
        case .halved: bytes.removeLast(bytes.count / 2)
        case .shortened: bytes.removeLast(4096)
        case .zeros: bytes = [UInt8](repeating: 0, count: bytes.count)
        case .aFolder:
          try FileManager.default.removeItem(atPath: file)
          try FileManager.default.createDirectory(
            atPath: file, withIntermediateDirectories: false)
          return
        case .lockFolder:
          let place = index + "/lock.mdb"
          try FileManager.default.createDirectory(
            atPath: place, withIntermediateDirectories: false)
          try Data("not a lock".utf8).write(to: URL(filePath: place + "/file"))
          return
        case .lockText:
          try Data("not a lock".utf8).write(to: URL(filePath: index + "/lock.mdb"))
          return
        case .newerFormat: Self.setFormat(in: &bytes)
        case .pages(let count, let seed):
          var random = SeededRandom(seed: seed)
          let pages = Self.used(bytes) / 4096
          for _ in 0..<count {
            let start = 4096 * random.number(in: 0...pages - 1)
            for offset in 0..<4096 { bytes[start + offset] = UInt8(random.next() & 0xFF) }
          }
        case .bits(let count, let seed):
          var random = SeededRandom(seed: seed)
          for _ in 0..<count {
            bytes[random.number(in: 0...Self.used(bytes) - 1)] ^=
              1 << UInt8(random.number(in: 0...7))
          }
        }
        try Data(bytes).write(to: URL(filePath: file))
      }

      /// The bytes up to the last page that is in use; both of LMDB's head pages have its number.
      private static func used(_ bytes: [UInt8]) -> Int {
        let lasts = [0, 4096].map { page in
          bytes[page + 136..<page + 144].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        return min(bytes.count, ((lasts.max() ?? 0) + 1) * 4096)
      }

      /// Lets every copy of the number under the name `format` be another one.
      private static func setFormat(in bytes: inout [UInt8]) {
        let name = Array("format".utf8)
        for start in bytes.indices.dropLast(name.count + 8)
        where bytes[start] == name[0] && bytes[start..<start + name.count].elementsEqual(name) {
          bytes[start + name.count] = 99
        }
      }
    }

    /// What became of a damaged index.
    struct Outcome {
      /// Lives that ended by themselves, how, and after what they had been asked.
      var deaths: [ChildProcess.Ending] = []
      /// The last line of each of them.
      var lastWords: [String] = []
      var lives = 0
      var isSetAside = false
      var slowestStart = 0.0
      var wrong: [String] = []

      mutating func note(_ ending: ChildProcess.Ending, _ errors: String) {
        deaths.append(ending)
        lastWords.append(errors.split(separator: "\n").last.map(String.init) ?? "")
      }
    }

    static let named: [Damage] = [
      .empty, .text, .halved, .shortened, .aFolder, .lockFolder, .lockText, .zeros,
      .newerFormat,
    ]
    static let random: [Damage] = {
      var all: [Damage] = []
      for seed in 0..<UInt64(Soak.pick(3, soak: 50)) {
        all += [.pages(1, seed: seed), .pages(4, seed: seed + 1000)]
        all += [.bits(1, seed: seed + 2000), .bits(64, seed: seed + 3000)]
      }
      return all
    }()

    /// A cache with many small objects, so that its index has pages of every kind.
    static func withSound<Result>(
      _ body: (SluiceProcess, Catalogue, TemporaryFolder) throws -> Result
    ) throws -> Result {
      let catalogue = try Catalogue(bytes: 600 << 10, sizes: 700...1400, seed: 701)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.maxSize = "128MB"
      let sluice = try SluiceProcess(settings)
      try Kills().expectRight(sluice, catalogue, 0..<500)
      #expect(try sluice.stop() == .exited(0))
      let sound = try TemporaryFolder()
      try FileManager.default.copyItem(
        atPath: sluice.folder.file("cache"), toPath: sound.file("cache"))
      return try body(sluice, catalogue, sound)
    }

    /// Starts a gateway on a damaged copy of the index, up to five times, until one life serves
    /// everything and ends when it is asked to.
    static func live(
      _ damage: Damage, _ sluice: SluiceProcess, _ catalogue: Catalogue, _ sound: TemporaryFolder
    ) throws -> Outcome {
      sluice.kill()
      let cache = sluice.folder.file("cache")
      try? FileManager.default.removeItem(atPath: cache)
      try FileManager.default.copyItem(atPath: sound.file("cache"), toPath: cache)
      try damage.make(in: cache + "/index")
      var outcome = Outcome()
      while outcome.lives < 5 {
        outcome.lives += 1
        let began = ContinuousClock.now
        let hasStarted = (try? sluice.startAgain()) != nil
        outcome.slowestStart = max(
          outcome.slowestStart, began.duration(to: .now) / .seconds(1))
        outcome.isSetAside = outcome.isSetAside || sluice.errors.contains("set aside")
        if hasStarted {
          use(sluice, catalogue, &outcome)
          if outcome.wrong != [] { return outcome }
        }
        guard let ending = sluice.ending else {
          let stopped = try sluice.stop()
          if stopped == .exited(0) { return outcome }
          outcome.note(stopped, sluice.errors)
          continue
        }
        outcome.note(ending, sluice.errors)
      }
      return outcome
    }

    /// Asks for everything there was, and for some that is new, twice.
    private static func use(
      _ sluice: SluiceProcess, _ catalogue: Catalogue, _ outcome: inout Outcome
    ) {
      for round in 0..<2 {
        var client = try? sluice.connect()
        for index in 0..<550 {
          let path = catalogue.items[index].path
          guard let answer = try? client?.request(path) else {
            // Who crashes writes down where before it is gone.
            if eventually(within: 3, { !sluice.isRunning }) { return }
            outcome.wrong.append("\(path): no answer in round \(round)")
            client = try? sluice.connect()
            continue
          }
          guard answer.status == 200, catalogue.isRight(answer.body, index) else {
            // An answer may break off where the process dies.
            if !answer.isComplete, eventually(within: 3, { !sluice.isRunning }) { return }
            let state = answer.isComplete ? "complete" : "broken off"
            outcome.wrong.append(
              "\(path): \(answer.status), \(answer.body.count) bytes, \(state)")
            return
          }
        }
        guard (try? sluice.settle()) != nil else {
          // Who is about to die answers no more, and is there until it has written where.
          if eventually(within: 5, { !sluice.isRunning }) { return }
          outcome.wrong.append("fills do not end")
          return
        }
      }
    }

    @Test func plainDamageIsNoticedAtTheStart() throws {
      try Self.withSound { sluice, catalogue, sound in
        for damage in Self.named {
          let outcome = try Self.live(damage, sluice, catalogue, sound)
          #expect(outcome.deaths == [] && outcome.wrong == [], "\(damage)")
          #expect(outcome.lives == 1 && outcome.slowestStart < 20, "\(damage)")
          if damage.isPlain { #expect(outcome.isSetAside, "\(damage)") }
          // What was set aside is cleared away by the next start.
          try sluice.startAgain()
          #expect(!sluice.errors.contains("set aside"), "\(damage)")
          #expect(try sluice.stop() == .exited(0))
          let names = try FileManager.default.contentsOfDirectory(
            atPath: sluice.folder.file("cache"))
          #expect(!names.contains { $0.contains("aside") }, "\(damage)")
        }
      }
    }

    /// What keeps the gateway from starting says nothing of the index, however often it is tried.
    @Test func startsThatFailLeaveTheCacheAsItIs() throws {
      let catalogue = try Catalogue(bytes: 64 << 10, sizes: 700...1400, seed: 702)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      let settings = SluiceProcess.Settings(upstreams: [upstream.port])
      let sluice = try SluiceProcess(settings)
      let path = catalogue.items[0].path
      #expect(try sluice.request(path).cacheStatus == "MISS")
      try sluice.settle()
      #expect(try sluice.stop() == .exited(0))
      var (taken, bare, mute) = (settings, settings, settings)
      let stranger = try catalogue.upstream()
      defer { stranger.stop() }
      taken.port = stranger.port
      bare.tls = ["certificates:", "  - { certificate: missing.pem, key: missing.pem }"]
      mute.admin = ["token_file: missing"]
      for (wrong, word) in [(taken, "listen"), (bare, "certificates"), (mute, "token_file")] {
        for _ in 0..<5 {
          #expect(throws: TestFailure.self) { try sluice.startAgain(wrong) }
          #expect(sluice.ending == .exited(1) && sluice.errors.contains(word), "\(sluice.errors)")
        }
        try sluice.startAgain(settings)
        #expect(!sluice.errors.contains("set aside"))
        #expect(try sluice.request(path).cacheStatus == "HIT", "after \(word)")
        #expect(try sluice.stop() == .exited(0))
      }
    }

    /// LMDB trusts its inner pages: a damaged one can end the process, but not more than three times.
    @Test func randomDamageIsSurvived() throws {
      try Self.withSound { sluice, catalogue, sound in
        var deaths: [String: Int] = [:]
        var lives: [Int: Int] = [:]
        var asides = 0
        for damage in Self.random {
          let outcome = try Self.live(damage, sluice, catalogue, sound)
          Soak.report(
            "\(damage): lives \(outcome.lives), set aside \(outcome.isSetAside), "
              + "wrong \(outcome.wrong.count), deaths "
              + outcome.deaths.map { "\($0)".suffix(14) }.joined(separator: " "))
          #expect(outcome.wrong == [], "\(damage)")
          #expect(outcome.lives <= 4, "\(damage): \(outcome.deaths) \(outcome.lastWords)")
          #expect(outcome.slowestStart < 20, "\(damage)")
          for death in outcome.deaths { deaths["\(death)", default: 0] += 1 }
          lives[outcome.lives, default: 0] += 1
          if outcome.isSetAside { asides += 1 }
        }
        Soak.report(
          "damage: \(Self.random.count) indexes, \(asides) set aside, deaths \(deaths), "
            + "lives needed \(lives)")
      }
    }
  }
}
