import Testing

@testable import Configuration

@Suite struct SuggestionTests {
  @Test(arguments: [
    ("max_sise", "max_size"), ("maxsize", "max_size"), ("max-size", "max_size"),
    ("Max_Size", "max_size"), ("paht", "path"), ("ptah", "path"), ("slice", nil), ("weight", nil),
  ])
  func findsSlips(word: String, meant: String?) {
    let known = ["path", "max_size", "slice_size"]
    #expect(Suggestion.nearest(to: word, among: known) == meant)
  }

  @Test func countsEdits() {
    #expect(Suggestion.editDistance("kitten", "sitting", bound: 9) == 3)
    #expect(Suggestion.editDistance("ab", "ba", bound: 9) == 1)
    #expect(Suggestion.editDistance("", "abc", bound: 9) == 3)
    #expect(Suggestion.editDistance("abc", "", bound: 9) == 3)
    #expect(Suggestion.editDistance("same", "same", bound: 0) == 0)
    #expect(Suggestion.editDistance("a", "abcdef", bound: 2) == 3)
  }
}
