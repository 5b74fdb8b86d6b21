/// The name of a thing in a `Slab`: an index and the generation it was given with.
///
/// Fits in the 64 bits that epoll carries. After the thing has gone, its handle finds nothing, even
/// when the index is in use again.
public struct Handle: Hashable, Sendable {
  public var index: UInt32
  public var generation: UInt32

  public init(index: UInt32, generation: UInt32) {
    self.index = index
    self.generation = generation
  }

  public init(bits: UInt64) {
    index = UInt32(truncatingIfNeeded: bits)
    generation = UInt32(truncatingIfNeeded: bits >> 32)
  }

  public var bits: UInt64 { UInt64(generation) << 32 | UInt64(index) }

  /// A handle that finds nothing: generations start at 1.
  public static let none = Handle(index: .max, generation: 0)
}

/// A table whose places are used again, addressed by handles that notice it.
public struct Slab<Element> {
  private struct Place {
    var generation: UInt32
    var element: Element?
  }

  private var places: [Place] = []
  private var free: [UInt32] = []
  public private(set) var count = 0

  public init() {}

  public mutating func insert(_ element: Element) -> Handle {
    count += 1
    if let index = free.popLast() {
      places[Int(index)].element = element
      return Handle(index: index, generation: places[Int(index)].generation)
    }
    places.append(Place(generation: 1, element: element))
    return Handle(index: UInt32(places.count - 1), generation: 1)
  }

  /// The element of a handle, or nil where it has gone.
  public subscript(handle: Handle) -> Element? {
    let index = Int(handle.index)
    guard index < places.count, places[index].generation == handle.generation else { return nil }
    return places[index].element
  }

  /// Puts another element in a handle's place; false where the handle's own has gone.
  @discardableResult
  public mutating func replace(_ handle: Handle, with element: Element) -> Bool {
    guard self[handle] != nil else { return false }
    places[Int(handle.index)].element = element
    return true
  }

  @discardableResult
  public mutating func remove(_ handle: Handle) -> Element? {
    let index = Int(handle.index)
    guard index < places.count, places[index].generation == handle.generation,
      let element = places[index].element
    else { return nil }
    places[index].element = nil
    // 0 is the generation of `Handle.none`.
    places[index].generation = places[index].generation == .max ? 1 : places[index].generation + 1
    free.append(handle.index)
    count -= 1
    return element
  }

  public func forEach(_ body: (Handle, Element) -> Void) {
    for (index, place) in places.enumerated() {
      if let element = place.element {
        body(Handle(index: UInt32(index), generation: place.generation), element)
      }
    }
  }
}
