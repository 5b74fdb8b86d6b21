import Testing

@testable import TLS

@Suite struct TicketKeysTests {
  @Test func keysServeATermAndOpenTicketsForFour() throws {
    let keys = TicketKeys(now: 100)
    let first = try #require(keys.current())
    #expect(!keys.rotate(at: 100 + TicketKeys.term - 1))
    #expect(keys.find(first.name)?.isCurrent == true)
    for term in 1...4 {
      #expect(keys.rotate(at: 100 + Int64(term) * TicketKeys.term))
      #expect(keys.find(first.name)?.isCurrent == false)
    }
    #expect(keys.rotate(at: 100 + 5 * TicketKeys.term))
    #expect(keys.find(first.name) == nil)
  }

  @Test func aSleepingMachineForgetsOldKeys() throws {
    let keys = TicketKeys(now: 0)
    let first = try #require(keys.current())
    #expect(keys.rotate(at: 100 * TicketKeys.term))
    #expect(keys.find(first.name) == nil)
    #expect(keys.find(InlineArray(repeating: 0)) == nil)
  }
}
