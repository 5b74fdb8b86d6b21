/// Sorted numbers, searched as in a tree whose nodes are lines of a processor's cache.
struct LineTree<Number: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
  /// The numbers, every n-th of those, every n-th of these and so on until one block of n is left: one behind
  /// the other, the shortest first, each filled up to whole blocks.
  private let numbers: [Number]
  /// Where each of them begins, and how many numbers it has.
  private let levels: [(start: Int, count: Int)]

  /// Numbers in a block, which is as long as a line of a processor's cache.
  private static var block: Int { 64 / MemoryLayout<Number>.size }

  /// - Parameter sorted: in rising order, equal ones side by side; the first one is 0.
  init(_ sorted: [Number]) {
    let block = Self.block
    var rows = [sorted]
    while let last = rows.last, last.count > block {
      rows.append(stride(from: 0, to: last.count, by: block).map { last[$0] })
    }
    let count = rows.reduce(block) { $0 + ($1.count + block - 1) / block * block }
    var numbers = [Number](repeating: .max, count: count)
    // Blocks begin where lines do.
    let address = unsafe numbers.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
    var place = (-address & 63) / MemoryLayout<Number>.size
    var levels: [(start: Int, count: Int)] = []
    for row in rows.reversed() {
      levels.append((place, row.count))
      for index in row.indices { numbers[place + index] = row[index] }
      place += (row.count + block - 1) / block * block
    }
    self.numbers = numbers
    self.levels = levels
  }

  /// A number by its place among all.
  subscript(place: Int) -> Number { numbers[(levels.last?.start ?? 0) + place] }

  /// The last place of a number that is not above another.
  ///
  /// A few comparisons in the one line of each level.
  @inline(__always)
  func place(of number: Number) -> Int {
    var place = 0
    let numbers = numbers.span
    for (start, count) in levels {
      place &*= Self.block
      var half = Self.block / 2
      while half > 0 {
        // Within the level, which is filled up to whole blocks: `place` is below `count` before each level.
        let isAbove = unsafe numbers[unchecked: start &+ place &+ half] > number
        place &+= isAbove ? 0 : half
        half /= 2
      }
      // What only fills a block up is equal to the greatest of all numbers.
      place = min(place, count &- 1)
    }
    return place
  }
}
