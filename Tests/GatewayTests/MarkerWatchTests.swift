import Base
import Testing

@testable import Gateway

@Suite struct MarkerWatchTests {
  private func held(_ pieces: [[UInt8]]) -> Int {
    var watch = MarkerWatch()
    for piece in pieces { watch.take(piece.rawBytes) }
    return watch.held
  }

  /// The plain way: the longest end of the text that the marker begins with.
  private func expected(_ text: [UInt8]) -> Int {
    (0...min(text.count, MarkerWatch.marker.count)).last {
      text.suffix($0).elementsEqual(MarkerWatch.marker.prefix($0))
    } ?? 0
  }

  @Test func theMarkerIsFoundAtTheEnd() {
    let body = Array("some bytes of a file".utf8)
    var watch = MarkerWatch()
    watch.take((body + MarkerWatch.marker).rawBytes)
    #expect(watch.isWhole)
    watch.take(Array("x".utf8).rawBytes)
    #expect(!watch.isWhole && watch.held == 0)
  }

  @Test func linesThatEndHoldNextToNothing() {
    #expect(held([Array("a line\n".utf8)]) == 1)
    #expect(held([Array("a line\n\n".utf8)]) == 2)
    #expect(held([Array("a line\n\n\n".utf8)]) == 2)
    #expect(held([Array("a line\n\n[Gate".utf8)]) == 7)
    #expect(held([Array("a line\n\n[Gate".utf8), Array("s".utf8)]) == 0)
  }

  /// However a body is cut into pieces, as much is held as the plain way says.
  @Test(arguments: 0..<20 as Range<UInt64>) func anyPieces(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<100 {
      var text: [UInt8] = []
      for _ in 0..<random.number(in: 1...6) {
        let start = random.number(in: 0...(MarkerWatch.marker.count - 1))
        let end = random.number(in: start...MarkerWatch.marker.count)
        switch random.number(in: 0...3) {
        case 0: text += MarkerWatch.marker.prefix(end)
        case 1: text += MarkerWatch.marker[start..<end]
        case 2: text += MarkerWatch.marker
        default: text += (0..<random.number(in: 0...200)).map { _ in UInt8(ascii: "\n") }
        }
      }
      var watch = MarkerWatch()
      var offset = 0
      while offset < text.count {
        let count = random.number(in: 1...min(300, text.count - offset))
        watch.take(Array(text[offset..<offset + count]).rawBytes)
        offset += count
        #expect(watch.held == expected(Array(text[..<offset])))
      }
    }
  }
}
