import Base
import IPFS
import Testing

@Suite struct MultihashTests {
  /// Raw CIDs of "The quick brown fox" (made by an independent implementation).
  static let vectors: [(String, String)] = [
    ("sha1", "bafkrcfgfdha2a3g35mv4jgpcee37wsdihbmlgri"),
    ("sha2-256", "bafkreic4vrhzqd7nypj7d6m3jpruole3gdkwki7gglivci36zeyjasf5ve"),
    (
      "sha2-512",
      "bafkrgqablzwshz3a6yjmzjqwyvhrcdfrfxkuee7r4bdmoydqqe3siaxp6sjwwn4ss3wvjerwaifpwn55hzziubckij"
        + "bxktyjksmmtc6cj536a"
    ),
    (
      "sha3-512",
      "bafkriqgkltr3ccl3fte3nvr6enfz3mrxkn5qyk563n2gzjw7d335a3wfbnzhiulhxjhrog3xgz55myts2xinrlyc4x"
        + "prjpypfw657syru6eog"
    ),
    (
      "sha3-384",
      "bafkrkmgif56siyfz3rej5hpkcnggstpckg3e4s3iml33q5bpxtu5cipi5g4lxrcjolavipzpzcc2hggbsg6a"
    ),
    ("sha3-256", "bafkrmidktavb7uvswm57fbdwrpiohxzkm7xd2qjk43z57asiwjuhkv2r2q"),
    ("sha3-224", "bafkrohgacrabbpzmk3aaliwlnmtmy7jmzy4kttuahc5l6cdhz5wq"),
    ("shake-128", "bafkrqibdjtnl6glt22s5wiiahfoxtcrg2stpzhmja7nnk7rtfxl5uzm3qm"),
    (
      "shake-256",
      "bafkrsqa52csrzhb7eu4zsr5m4ckphafgo6tyjveddfihakqlojd7cucrsdtejnxcj6kzazpb3ziseoioy2rggobplc"
        + "h7wjmggq6723wcocsqk"
    ),
    (
      "sha2-384",
      "bafksamboiwjt3unb42tjfcttfvmkx2yybqrf4xt3thde5nxsgot3thxemnobp5cmuvcm6yqm6quj322mbdhq"
    ),
    ("dbl-sha2-256", "bafkvmidximbu2isjc4qloi5wrl6qi27gnfuubesu3r42cu7csdebvdzdri"),
    (
      "blake2b-512",
      "bafk4bzacicqcv7ie3z5hm43krb3txbbhv3qaja6srxnw3k5ynf6pspu3b6fwaji2ndrzwpa3ddgrvazaw4a4g3odta"
        + "y53npilvqlhe53r43nnqvw"
    ),
    ("blake2s-256", "bafk6bzacedmr4pzh2bfnpdttsxnj7aakgsnai33ayuchyv3pv4bn6y6fzypew"),
    ("identity", "bafkqae2unbssa4lvnfrwwidcojxxo3ramzxxq"),
    ("sha2-256, cut to 20 bytes", "bafkrefc4vrhzqd7nypj7d6m3jpruole3gdkwkiy"),
    ("dbl-sha2-256, cut to 20 bytes", "bafkvmfdximbu2isjc4qloi5wrl6qi27gnfuubeq"),
  ]

  @Test(arguments: vectors) func checksContent(_ name: String, _ text: String) throws {
    let content = bytes("The quick brown fox")
    let cid = try parse(text)
    #expect(cid.verify(content) == .match)
    #expect(cid.verify((content + [0])) == .mismatch)
    #expect(cid.verify(Array(content.dropLast())) == .mismatch)
    for place in content.indices {
      var other = content
      other[place] ^= 1
      #expect(cid.verify(other) == .mismatch)
    }
    for split in 0...content.count {
      guard var hasher = ContentHasher(for: cid) else {
        Issue.record("no hasher")
        continue
      }
      hasher.update(content.rawBytes.extracting(0..<split))
      hasher.update(content.rawBytes.extracting(split..<content.count))
      let (first, second) = (hasher.matches(), hasher.matches())
      #expect(first && second)
    }
  }

  @Test func knowsTheEmptyContent() throws {
    let sha = try parse("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
    #expect(sha.verify([]) == .match)
    #expect(sha.verify([0]) == .mismatch)
    #expect(CID(sha256Of: [], codec: .raw) == sha)
    #expect(try parse("bafkqaaa").verify([]) == .match)
    #expect(try parse("bafkqaaa").verify([0]) == .mismatch)
  }

  @Test func saysWhatItCannotCheck() throws {
    // blake2b-256 is not the start of blake2b-512.
    let blake = try parse("bafk2bzacedw6ciljgngga562iwhyezb7azrujdk3moadhjlhi2tucue44mjma")
    #expect(blake.verify(bytes("The quick brown fox")) == .unsupported)
    let isCheckable = ContentHasher(for: blake) != nil
    #expect(!isCheckable)
  }

  @Test func digestsLongerThanTheFunctionNeverMatch() throws {
    let content = bytes("x")
    let hashed = CID(sha256Of: content, codec: .raw)
    let short = try #require(hashed)
    let long = try CID(
      codec: .raw, hash: .sha2_256, digest: (short.digest.array + [0]))
    #expect(long.verify(content) == .mismatch)
    let double = try CID(
      codec: .raw, hash: .doubleSHA2_256, digest: [UInt8](repeating: 0, count: 64))
    #expect(double.verify(content) == .mismatch)
  }
}
