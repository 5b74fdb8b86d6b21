import Base
import EventLoop
import Synchronization

@testable import Cache

/// Two workers on a simulated network, and one fill of the first.
final class FillWorld {
  let network: SimulatedNetwork
  let loops: [Loop]
  let ports: [WorkerPort]
  let table = FillTable()
  let key = Digest128(first: 1, second: 2)
  let name: [UInt8] = Array("name".utf8)
  private(set) var fill: Fill
  let source = ScriptedSource()

  /// A fill that is in the table, or one that nobody may join.
  init(
    seed: UInt64 = 1, listed: Bool = true, budget: SliceBudget = SliceBudget(limit: 1 << 30)
  ) {
    network = SimulatedNetwork(seed: seed)
    let loops = [Loop(in: network), Loop(in: network)]
    self.loops = loops
    ports = loops.enumerated().map { WorkerPort(number: $0, mailbox: $1.mailbox) }
    fill = Fill(
      key: key, canonicalKey: name, owner: ports[0], loop: loops[0],
      table: listed ? table : nil, budget: budget)
    fill.source = source
  }

  /// A new reader on a worker.
  func reader(on worker: Int = 0, from start: Int64 = 0, to end: Int64 = .max) -> TestReader {
    let make = { [ports] (fill: Fill) in
      TestReader(fill, on: ports[worker], from: start, to: end)
    }
    if let joined = table.join(key, canonicalKey: name, create: { fill }, reader: make) {
      return joined.reader
    }
    return make(fill)
  }

  func alone(from start: Int64 = 0, to end: Int64 = .max) -> TestReader {
    let reader = TestReader(fill, on: ports[0], from: start, to: end)
    fill.admit(reader)
    return reader
  }

  func open(_ total: Int64?, kept: Bool = true, shift: UInt8 = 12, visibleEnd: Int64 = .max) {
    let head = AnswerHead(status: 200, totalBytes: total, created: 0)
    fill.open(head, kept: kept, sliceShift: shift, visibleEnd: visibleEnd)
  }

  /// Puts the content's bytes into a slice until it holds `count`; false while the window is full.
  @discardableResult
  func land(_ slice: Int, _ count: Int) -> Bool {
    guard let buffer = fill.buffer(slice: slice) else { return false }
    let start = slice << Int(fill.sliceShift)
    let bytes = (start + buffer.count..<start + max(count, buffer.count)).map(content)
    buffer.append(bytes.rawBytes)
    fill.landed()
    return true
  }

  func settle() { while network.step() {} }
}

extension Fill {
  /// Whether a slice is here to its end.
  func isWhole(slice index: Int) -> Bool {
    state.withLock { state in
      switch state.places[index] {
      case .memory(let buffer): buffer.free == 0
      case .disk: true
      case nil: false
      }
    }
  }
}

/// The byte that stands at a place of the body.
func content(_ place: Int) -> UInt8 {
  UInt8(truncatingIfNeeded: place &* 31 &+ place >> 8 &+ place >> 16)
}

/// Writes down what a fill asks of its source.
final class ScriptedSource: FillSource {
  private(set) var heard: [String] = []
  var onWanted: (Int, Int64) -> Void = { _, _ in }
  var onRoom: () -> Void = {}
  var onLeft: () -> Void = {}

  override func wanted(slice: Int, end: Int64) {
    heard.append("wanted \(slice)")
    onWanted(slice, end)
  }

  override func roomMade() {
    heard.append("room")
    onRoom()
  }

  override func readerLeft() {
    heard.append("left")
    onLeft()
  }

  override func abandoned() { heard.append("abandoned") }
}

final class TestReader: FillReader, @unchecked Sendable {
  // Unchecked as its superclass: all in one thread here.
  private(set) var changes = 0
  var onChange: () -> Void = {}

  override func fillChanged() {
    changes += 1
    onChange()
  }

  /// The next step, as text.
  func step(at position: Int64) -> String {
    switch fill.next(self, at: position) {
    case .wait: "wait"
    case .bytes(_, let offset, let count): "bytes \(offset) \(count)"
    case .stored(_, let index, let offset, let count): "stored \(index) \(offset) \(count)"
    case .absent(let index): "absent \(index)"
    case .end: "end"
    case .failed(let fault): "failed \(fault.kind)"
    }
  }
}
