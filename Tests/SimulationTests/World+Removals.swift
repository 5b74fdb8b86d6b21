import Base
import Foundation
import IPFS
import System

@testable import Cache
@testable import Gateway

/// Removals in the middle of everything: what is removed is gone from the index and from the disk.
extension World {
  /// One removal, until it says that it has ended.
  struct Removed {
    var content: Content
    var began: Instant
    /// How often nodes had been asked for the content when it began.
    var asked: Int
    /// How many gateways had died before it.
    var deaths: Int
    /// When it said that it was done.
    var ended: Instant?

    var isOver: Bool { ended != nil }
  }

  func scheduleRemovals(within span: Int, of favourites: [Content]) {
    guard random.chance(0.3) else { return }
    for _ in 0..<random.number(in: 1...5) {
      let favourite = favourites[random.number(in: 0...favourites.count - 1)]
      network.after(.milliseconds(random.number(in: 0...span))) { [self] in remove(favourite) }
    }
  }

  private func remove(_ content: Content) {
    guard isUp, let root = try? CID.parse(Array(content.roots.prefix { $0 != "," }.utf8).rawBytes)
    else { return }
    let number = removals.count
    removals.append(
      Removed(
        content: content, began: network.now, asked: askedFor[content.number] ?? 0,
        deaths: dead.count))
    let asking = Asking(self, machine)
    machine.gateway.remove(.content(root)) { receipt in
      if let machine = asking.machine { asking.world?.ended(number, receipt, machine) }
    }
  }

  /// Carries the world through a message: a simulation has one thread.
  private final class Asking: @unchecked Sendable {
    // Weak: a machine that dies keeps what its jobs hold.
    weak let world: World?
    weak let machine: Machine?

    init(_ world: World, _ machine: Machine) {
      self.world = world
      self.machine = machine
    }
  }

  private func ended(_ number: Int, _ receipt: RemovalReceipt, _ machine: Machine) {
    removals[number].ended = network.now
    note(receipt.objects, receipt.bytes, receipt.fills, receipt.answers)
    if let fault = receipt.fault {
      if !mayRemovalsFail { fail("a removal ended by \(fault)") }
    } else {
      checkRemoved(removals[number], machine)
    }
  }

  /// A disk with troubles, or disk threads that take nothing, may end a removal.
  private var mayRemovalsFail: Bool {
    // A worker that has closed serves no removal either, nor does a disk that is dying.
    areClientsDone || troubles.disk > 0 || troubles.deaths > 0 || troubles.refusedReads > 0
      || troubles.queueBytes < 1 << 20
  }

  /// Whether a removal has still to come to its end.
  var isRemoving: Bool { removals.contains { !$0.isOver && $0.deaths == dead.count } }

  /// Whether a client that began then may have been cut off by a removal.
  func mayHaveLost(since start: Instant) -> Bool {
    removals.contains { removal in removal.ended.map { $0 >= start } ?? true }
  }

  private func checkRemoved(_ removed: Removed, _ machine: Machine) {
    let content = removed.content
    // Who asked for it meanwhile has it again; of what a broken disk wrote nobody knows; and another
    // removal of the same may have taken it over.
    guard !isRemoving, !isSweeping, machine === self.machine, isUp, troubles.disk == 0,
      content.bytes.count > 64, askedFor[content.number] ?? 0 == removed.asked
    else { return }
    if let key = storageKey(content), let reader = try? machine.storage.reader(),
      (try? reader.lookUp(key) { _ in true }) == true
    {
      fail("#\(content.number) is in the index after its removal")
    }
    if let name = segment(having: content) {
      fail("#\(content.number) is in \(name) after its removal")
    }
  }

  /// A file of the cache that has some of a content's bytes; nil where none has.
  func segment(having content: Content) -> String? {
    guard content.bytes.count > 64 else { return nil }
    let folder = plan.cache.path + "/segments"
    let needles = stride(from: 0, to: content.bytes.count - 32, by: 16_384).map {
      Data(content.bytes[$0..<$0 + 32])
    }
    for name in (try? Folder.names(in: folder)) ?? [] {
      guard let bytes = try? Data(contentsOf: URL(filePath: folder + "/" + name)) else { continue }
      if needles.contains(where: { bytes.range(of: $0) != nil }) { return name }
    }
    return nil
  }
}
