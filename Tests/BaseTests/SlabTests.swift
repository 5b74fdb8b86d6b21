import Base
import Testing

@Suite struct SlabTests {
  @Test func aHandleFindsNothingAfterItsThingHasGone() {
    var slab = Slab<String>()
    let first = slab.insert("a")
    #expect(slab.remove(first) == "a")
    let second = slab.insert("b")
    #expect(second.index == first.index && second != first)
    #expect(slab[first] == nil)
    #expect(slab.remove(first) == nil)
    #expect(slab[second] == "b")
  }

  @Test func nothingAndWhatNeverWasFindNothing() {
    var slab = Slab<Int>()
    #expect(slab[.none] == nil)
    let handle = slab.insert(1)
    #expect(slab[.none] == nil)
    #expect(slab[Handle(index: 1, generation: 1)] == nil)
    #expect(slab[Handle(index: handle.index, generation: 0)] == nil)
    #expect(slab.remove(.none) == nil)
    #expect(slab.count == 1)
  }

  @Test func handlesSurviveTheirBits() {
    var random = SeededRandom(seed: 1)
    for _ in 0..<100 {
      let bits = random.next()
      #expect(Handle(bits: bits).bits == bits)
    }
    #expect(Handle(bits: Handle.none.bits) == .none)
  }

  /// Inserts and removes at random, beside a dictionary; old handles are tried again and again.
  @Test(arguments: 0..<10 as Range<UInt64>) func agreesWithADictionary(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var slab = Slab<Int>()
    var model: [Handle: Int] = [:]
    var everGiven: [Handle] = []
    for number in 0..<400 {
      if random.chance(0.55) {
        let handle = slab.insert(number)
        #expect(model[handle] == nil && !everGiven.contains(handle))
        model[handle] = number
        everGiven.append(handle)
      } else if let handle = everGiven.randomElement(using: &random) {
        #expect(slab.remove(handle) == model.removeValue(forKey: handle))
      }
      #expect(slab.count == model.count)
    }
    for handle in everGiven { #expect(slab[handle] == model[handle]) }
    var seen: [Handle: Int] = [:]
    slab.forEach { seen[$0] = $1 }
    #expect(seen == model)
  }
}
