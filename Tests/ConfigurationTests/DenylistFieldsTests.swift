import Configuration
import Testing

@Suite struct DenylistFieldsTests {
  @Test func reads() throws {
    let fields = try DenylistFields.read(
      """
      version: 1
      name: A list
      description: >
        in two
        lines
      hints:
        gateway_status: 451
        other: x
      custom: { a: [1, 2] }
      """)
    #expect(fields.name == "A list" && fields.hints == ["gateway_status": "451", "other": "x"])
    #expect(try DenylistFields.read("") == DenylistFields())
    #expect(try DenylistFields.read("# nothing\n") == DenylistFields())
    #expect(try DenylistFields.read("name: [a]\nhints: none").hints.isEmpty)
  }

  @Test(arguments: ["version: 2", "version: [1]", "- a\n- b", "just text", "a: [b", "\ta: b: c"])
  func refuses(_ text: String) {
    #expect(throws: DenylistFields.Unusable.self) { try DenylistFields.read(text) }
  }
}
