public import Base
public import EventLoop

/// What a fill has for a reader at its place.
public enum FillStep: Sendable {
  /// Nothing yet; `fillChanged` will be called.
  case wait
  /// Bytes in memory: `count` of them from `offset` of the buffer.
  case bytes(SliceBuffer, offset: Int, count: Int)
  /// Bytes of a slice on the disk: `count` of them from `offset` of the slice.
  case stored(Slice, index: Int, offset: Int, count: Int)
  /// The fill holds nothing of this slice: to be looked up in the index, else wanted.
  case absent(index: Int)
  /// The end of the body.
  case end
  /// No more bytes will come.
  case failed(Fault)
}

/// One client's place in a fill.
///
/// Lives on its worker; the fill calls it there.
open class FillReader: EventHandler, @unchecked Sendable {
  // Unchecked: its place and flags are touched under the fill's lock, all else on its worker's thread.

  public let fill: Fill
  /// The worker that the reader lives on.
  let port: WorkerPort
  /// The next byte that the reader needs.
  ///
  /// Written under the fill's lock.
  var position: Int64
  /// The first byte that it does not need any more; `Int64.max` for all to the end.
  var end: Int64
  var isWaiting = false
  /// Why what it waited for does not come, until it has been told.
  var fault: Fault?
  /// Its place among the fill's readers; nil while it is not one of them.
  var slot: Int?

  public init(_ fill: Fill, on port: WorkerPort, from position: Int64, to end: Int64) {
    self.fill = fill
    self.port = port
    self.position = position
    self.end = end
  }

  /// Something has come, or the fill has ended: ask for the next step.
  open func fillChanged() {}

  public override func deadline(_ tag: UInt32) { fillChanged() }
}

/// How to reach a worker from others: its number and its loop's mailbox.
public struct WorkerPort: Sendable {
  public let number: Int
  public let mailbox: Mailbox

  public init(number: Int, mailbox: Mailbox) {
    self.number = number
    self.mailbox = mailbox
  }
}

/// What brings a fill its bytes: the gateway's fetches.
///
/// Called on the owner's thread only.
open class FillSource {
  public init() {}

  /// A reader needs a slice that nothing is bringing; it will go on to `end`.
  open func wanted(slice: Int, end: Int64) {}

  /// There may be room again for what was paused.
  open func roomMade() {}

  /// The last reader has left.
  open func abandoned() {}

  /// A reader has left, or has gone elsewhere, and some fetch brings nobody anything any more
  /// (`Fill.isForsaken`).
  open func readerLeft() {}
}
