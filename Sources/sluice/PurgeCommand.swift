import Admin
import ArgumentParser
import Base
import Gateway
import System

/// `sluice purge`: content taken off the disk of a running gateway.
struct PurgeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge",
    abstract: "Take content off the disk of a running gateway, and print a receipt.",
    discussion: """
      Answers that give it are broken off, its bytes are gone from the disk when this ends. Who asks for it \
      afterwards has it fetched anew: to keep it away is a denylist's work. A folder's own path gives its \
      index.html, which the CID of that file does not find: purge the folder's CID too. \(AdminExit.discussion)
      """)

  @Argument(
    help: "A CID, in all forms and at all paths, or a path below /ipfs or /ipns with all below it.")
  var subjects: [String] = []

  @Option(name: .customLong("host"), help: "A DNSLink host, whose content goes; may be repeated.")
  var hosts: [String] = []

  @Option(
    help: "A file with a CID or path on each line, and comments (#); - for the standard input.")
  var fromFile: String?

  @Option(help: "Why, for the audit log.")
  var reason: String?

  @OptionGroup var options: AdminOptions

  func run() throws {
    var rest = try subjects.map(Self.subject)
    if let fromFile { rest += try Self.lines(of: fromFile).map(Self.subject) }
    rest += hosts.map { ("hosts", $0) }
    guard !rest.isEmpty else { throw ValidationError("name a CID, a path or a --host") }
    // Half of a list is not what was asked for: all of it is looked at first.
    for (kind, text) in rest {
      if let complaint = PurgeCheck.complaint(about: text, of: kind) {
        throw AdminOptions.fail(AdminExit.failure, complaint)
      }
    }
    var answers: [JSONValue] = []
    do {
      try purge(rest[...], into: &answers)
    } catch {
      // What is gone is gone: its receipts are all that tells of it.
      show(answers)
      throw error
    }
    show(answers)
  }

  private func purge(
    _ subjects: ArraySlice<(kind: String, text: String)>, into answers: inout [JSONValue]
  ) throws {
    var rest = subjects
    while !rest.isEmpty {
      let part = rest.prefix(RemovalBatch.maximumCount)
      rest.removeFirst(part.count)
      var members = ["cids", "paths", "hosts"].map { kind in
        JSONValue.Member(kind, .array(part.filter { $0.kind == kind }.map { .string($0.text) }))
      }
      if let reason { members.append(.init("reason", .string(reason))) }
      // A large index is read through, and the disk may be slow.
      let answer = try answer(to: .object(members))
      answers.append(answer.body)
      guard (200..<300).contains(answer.status) else { throw AdminOptions.refusal(answer) }
    }
  }

  /// Others' purges take some seconds each; who meets them all the time has to be told.
  private static let triesWhenBusy = 10

  private func answer(to purge: JSONValue) throws -> AdminClient.Answer {
    let pause = Monitor(false)
    var tries = 1
    while true {
      let answer = try options.answer(
        toChange: "/api/v1/purge", purge, patience: .seconds(900))
      guard answer.status == 503, tries < Self.triesWhenBusy else { return answer }
      tries += 1
      let _: Bool? = pause.wait(until: Clock.now + .seconds(1)) { _ in nil }
    }
  }

  private func show(_ answers: [JSONValue]) {
    if answers.isEmpty { return }
    if options.json {
      print((answers.count == 1 ? answers[0] : .array(answers)).lines)
    } else if answers.contains(where: { $0["receipts"] != nil }) {
      print(PurgeText.page(answers))
    }
  }

  /// What a word on the command line is; what it is worth is the gateway's to say.
  static func subject(_ text: String) throws -> (kind: String, text: String) {
    if text.hasPrefix("/") { return ("paths", text) }
    for namespace in ["ipfs", "ipns"] where text.lowercased().hasPrefix("\(namespace)://") {
      return ("paths", "/\(namespace)/" + text.dropFirst(namespace.utf8.count + 3))
    }
    if text.contains("://") {
      throw ValidationError("\(text): name content by its path or CID, or a site by --host")
    }
    return ("cids", text)
  }

  /// Lists are kept by hand or by scripts; larger ones are something else.
  private static let maximumBytes = 64 << 20

  private static func lines(of path: String) throws -> [String] {
    let lines = path == "-" ? try inputLines() : try fileLines(path)
    return lines.compactMap(word)
  }

  /// What stands on a line of a list; nil for nothing.
  ///
  /// Paths may have blanks and the like, so a comment behind something stands behind a CID alone.
  static func word(_ line: Substring) -> String? {
    let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    var text = line.drop(while: blank)
    while let last = text.last, blank(last) { text.removeLast() }
    guard let first = text.first, first != "#" else { return nil }
    if first != "/", !text.contains("://"), let end = text.firstIndex(where: blank),
      text[end...].drop(while: blank).first == "#"
    {
      text = text[..<end]
    }
    return String(text)
  }

  private static func tooLong(_ path: String) -> ExitCode {
    AdminOptions.fail(AdminExit.failure, "\(path): no list of CIDs is so long")
  }

  /// The standard input may be a pipe, which has no places to read at.
  private static func inputLines() throws -> [Substring] {
    var lines: [Substring] = []
    var count = 0
    while let line = readLine() {
      count += line.utf8.count + 1
      guard count < maximumBytes else { throw tooLong("-") }
      lines.append(line[...])
    }
    return lines
  }

  private static func fileLines(_ path: String) throws -> [Substring] {
    var bytes = ByteBuffer(capacity: 64 << 10)
    do throws(Fault) {
      let file = try File(path: path, .read)
      var isAtEnd = false
      while !isAtEnd, bytes.count < maximumBytes {
        let offset = bytes.count
        let got = try unsafe bytes.fill(atLeast: 64 << 10) { room throws(Fault) in
          try unsafe file.read(at: offset, into: room)
        }
        isAtEnd = got == 0
      }
    } catch {
      throw AdminOptions.fail(AdminExit.failure, "\(path): \(SystemError.text(error.errno))")
    }
    guard bytes.count < maximumBytes else { throw tooLong(path) }
    return bytes.readable.text.split(whereSeparator: \.isNewline)
  }
}

/// Receipts as text for people.
enum PurgeText {
  static func page(_ answers: [JSONValue]) -> String {
    var table = TextTable(
      ["subject", "objects", "erased", "answers cut", "fetches cut", ""], numbers: [1, 2, 3, 4])
    for receipt in answers.flatMap({ $0["receipts"]?.elements ?? [] }) {
      table.add([
        receipt["subject"]?.string ?? "?", Shown.count(receipt["objects"]?.integer ?? 0),
        Shown.bytes(receipt["bytes"]?.integer ?? 0), Shown.count(receipt["answers"]?.integer ?? 0),
        Shown.count(receipt["fetches"]?.integer ?? 0), receipt["note"]?.string ?? "",
      ])
    }
    let sum: (String) -> Int = { name in answers.reduce(0) { $0 + ($1[name]?.integer ?? 0) } }
    let seconds = answers.reduce(0) { $0 + ($1["seconds"]?.real ?? 0) }
    let ids = answers.compactMap { $0["id"]?.string }.joined(separator: " ")
    return table.text + "\n\n" + """
      \(Shown.count(sum("objects"), "object")) and \(Shown.bytes(sum("bytes"))) gone from the disk in \
      \(Shown.decimal(seconds)) s; receipt \(ids)
      """
  }
}
