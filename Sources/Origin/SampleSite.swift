public import Base
public import IPFS
internal import System

/// A small site to try a gateway with: pages, a picture, a larger file, a directory to list.
///
/// The same at every run, so that its CIDs can stand in documentation.
public struct SampleSite: Sendable {
  /// The directory that holds everything; it has an index.html.
  public let root: CID
  /// The file of 5 MiB.
  public let large: CID
  public let car: [UInt8]

  /// Builds the site; throws where OpenSSL gives no SHA-256.
  public init() throws(UnixFSBuilder.BuildError) {
    var builder = UnixFSBuilder()
    let notes = try builder.addDirectory([
      "a first note.txt": builder.addFile(Array(Self.note.utf8)),
      "numbers.csv": builder.addFile(Array(Self.numbers.utf8)),
    ])
    let large = try builder.addFile(Self.randomBytes(5 * 1024 * 1024))
    let top = try builder.addDirectory([
      "index.html": builder.addFile(Array(Self.index.utf8)),
      "style.css": builder.addFile(Array(Self.style.utf8)),
      "hello.txt": builder.addFile(Array("Hello from a CAR file.\n".utf8)),
      "picture.png": builder.addFile(SampleImage.png(width: 320, height: 180)),
      "large.bin": large,
      "notes": notes,
    ])
    root = top.cid
    self.large = large.cid
    car = builder.car(roots: [top.cid])
  }

  /// Writes the CAR to a new file; one of that name must not exist (EEXIST).
  public func write(to path: String) throws(Fault) {
    let file = try File(path: path, .createNew)
    try file.write(at: 0, car.rawBytes)
  }

  private static func randomBytes(_ count: Int) -> [UInt8] {
    var random = SeededRandom(seed: 5)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      let word = random.next()
      for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
    }
    return Array(bytes.prefix(count))
  }

  private static let note = """
    Everything here is named by the hash of its bytes.
    Change a letter, and it has another name.

    """

  private static let numbers =
    "number,square\n" + (1...200).map { "\($0),\($0 * $0)\n" }.joined()

  private static let index = """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>A site from a CAR file</title>
    <link rel="stylesheet" href="style.css">
    <main>
    <img src="picture.png" alt="The sun sets over calm water" width="320" height="180">
    <h1>It works.</h1>
    <p>This page, its picture and its style come out of one CAR file. Each of them is asked for by
    a path below a content identifier, and none of them can ever change under that name: whoever
    has a copy may keep it, and anybody can check it.</p>
    <ul>
    <li><a href="hello.txt">A text</a>
    <li><a href="notes/">A directory without an index</a>
    <li><a href="large.bin">Five mebibytes of noise</a>, to ask for in ranges
    <li><a href="hello.txt?format=raw">The text as a block</a>, to check with your own tools
    <li><a href="notes?format=car">The directory as a CAR</a>
    </ul>
    </main>
    </html>

    """

  private static let style = """
    :root { color-scheme: light dark; --accent: #c2410c }
    body { margin: 0; font: 1.1rem/1.6 Georgia, serif; background: light-dark(#fdf6ee, #1b1714) }
    main { max-width: 36rem; margin: 4rem auto; padding: 0 1.5rem }
    img { width: 100%; height: auto; border-radius: 1rem; box-shadow: 0 1rem 3rem #0003 }
    h1 { font-size: 2.6rem; letter-spacing: -.02em; margin: 1.5rem 0 .5rem }
    a { color: var(--accent); text-underline-offset: .2em }
    li::marker { color: var(--accent) }

    """
}
