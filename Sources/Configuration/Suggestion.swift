/// Finds what somebody probably meant by a word that is not known.
enum Suggestion {
  /// The candidate nearest to the word, if it is near enough to be a slip of the finger.
  ///
  /// Near enough is one edit for every three bytes of the word, at least one and at most three.
  static func nearest<Words: Sequence<String>>(to word: String, among candidates: Words) -> String?
  {
    let bound = min(3, max(1, word.utf8.count / 3))
    var best: (word: String, distance: Int)?
    for candidate in candidates {
      let distance = editDistance(word, candidate, bound: bound)
      guard distance <= bound, distance < best?.distance ?? .max else { continue }
      best = (candidate, distance)
    }
    return best?.word
  }

  /// The least number of insertions, deletions, replacements and swaps of neighbours.
  ///
  /// Anything above the bound may be given as the bound plus one.
  static func editDistance(_ left: String, _ right: String, bound: Int) -> Int {
    let left = Array(left.lowercased().utf8)
    let right = Array(right.lowercased().utf8)
    guard abs(left.count - right.count) <= bound else { return bound + 1 }
    var beforeLast = [Int]()
    var last = Array(0...right.count)
    for row in 0..<left.count {
      var current = [row + 1]
      for column in 0..<right.count {
        let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
        var least = min(replaced, last[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          least = min(least, beforeLast[column - 1] + 1)
        }
        current.append(least)
      }
      beforeLast = last
      last = current
    }
    return last[right.count]
  }
}
