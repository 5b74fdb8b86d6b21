import Testing

@testable import TLS

@Suite struct CertificateNamesTests {
  private func names(_ certificates: [(names: [String], kind: Int32)]) -> CertificateNames {
    CertificateNames(certificates.map { ($0.names.map { Array($0.utf8) }, $0.kind) })
  }

  private func members(_ names: CertificateNames, _ name: String) -> [Int]? {
    names.set(for: Array(name.utf8)).map { names.sets[$0] }
  }

  @Test func exactNamesGoBeforeWildcards() {
    let table = names([(["a.test"], 1), (["*.test"], 1), (["b.test", "*.b.test"], 1)])
    #expect(members(table, "a.test") == [0])
    #expect(members(table, "A.Test.") == [0])
    #expect(members(table, "c.test") == [1])
    #expect(members(table, "b.test") == [2])
    #expect(members(table, "x.b.test") == [2])
    #expect(members(table, "x.y.b.test") == nil)
    #expect(members(table, "test") == nil)
    #expect(members(table, "") == nil)
    #expect(members(table, ".test") == nil)
    #expect(table.sets[0] == [0])
  }

  @Test func kindsStandSideBySide() {
    let table = names([
      (["a.test"], 1), (["a.test"], 2), (["a.test"], 1), (["b.test"], 2),
      (["a.test", "b.test"], 1),
    ])
    #expect(members(table, "a.test") == [0, 1])
    #expect(members(table, "b.test") == [3, 4])
    #expect(table.sets[0] == [0, 1])
  }

  @Test func theFirstIsForAllOthers() {
    #expect(names([([], 1), (["a.test"], 2)]).sets[0] == [0])
    #expect(names([(["a.test", "b.test"], 1), (["a.test"], 2)]).sets[0] == [0])
  }
}
