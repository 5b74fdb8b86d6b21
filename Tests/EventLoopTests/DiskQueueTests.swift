import Base
import System
import Testing

@testable import EventLoop

@Suite struct DiskQueueTests {
  /// A gate that items wait at, so that a test decides when the disk is slow.
  final class Gate: Sendable {
    private let isOpen = Monitor(false)

    func pass() { isOpen.wait { $0 ? () : nil } }

    func open() {
      isOpen.with { $0 = true }
      isOpen.broadcast()
    }
  }

  /// What ran, and a wait for it.
  final class Ran: Sendable {
    private let numbers = Monitor([Int]())

    func note(_ number: Int) {
      numbers.with { $0.append(number) }
      numbers.broadcast()
    }

    func wait(for count: Int) -> [Int] {
      numbers.wait(until: Clock.now + .seconds(20)) { $0.count >= count ? $0 : nil } ?? []
    }
    var all: [Int] { numbers.with { $0 } }
  }

  @Test func oneThreadKeepsTheOrder() throws {
    let queue = try DiskQueue(threads: 1)
    let ran = Ran()
    for number in 0..<500 { #expect(queue.submit { ran.note(number) }) }
    #expect(ran.wait(for: 500) == Array(0..<500))
  }

  @Test func severalThreadsRunEachItemOnce() throws {
    let queue = try DiskQueue(threads: 3)
    let ran = Ran()
    for number in 0..<500 { #expect(queue.submit { ran.note(number) }) }
    #expect(ran.wait(for: 500).sorted() == Array(0..<500))
  }

  @Test func refusesWhatIsBeyondTheBound() throws {
    let queue = try DiskQueue(threads: 1)
    let gate = Gate()
    let ran = Ran()
    #expect(
      queue.submit {
        ran.note(-1)
        gate.pass()
      })
    #expect(ran.wait(for: 1) == [-1])
    for number in 0..<DiskQueue.bound { #expect(queue.submit { ran.note(number) }) }
    #expect(!queue.submit { ran.note(.max) })
    gate.open()
    #expect(ran.wait(for: 1 + DiskQueue.bound) == Array(-1..<DiskQueue.bound))
    // There is room again, and what was refused never runs.
    #expect(queue.submit { ran.note(1_000_000) })
    #expect(ran.wait(for: 2 + DiskQueue.bound).last == 1_000_000)
  }

  @Test func stopRunsWhatWaitsAndTakesNoMore() throws {
    let queue = try DiskQueue(threads: 2)
    let gate = Gate()
    let ran = Ran()
    for number in 0..<100 {
      #expect(
        queue.submit {
          gate.pass()
          ran.note(number)
        })
    }
    queue.stop()
    #expect(!queue.submit { ran.note(1_000) })
    gate.open()
    #expect(ran.wait(for: 100).sorted() == Array(0..<100))
  }

  @Test func lettingGoStopsTheThreads() throws {
    let ran = Ran()
    do {
      let queue = try DiskQueue(threads: 1)
      #expect(queue.submit { ran.note(1) })
    }
    #expect(ran.wait(for: 1) == [1])
  }

  /// What has run must not be held for as long as others wait behind it.
  @Test func whatHasRunIsLetGo() throws {
    final class Held: Sendable {}
    let queue = try DiskQueue(threads: 1)
    let gates = (0..<2).map { _ in Gate() }
    let ran = Ran()
    weak var held: Held?
    do {
      let object = Held()
      held = object
      #expect(
        queue.submit {
          _ = object
          ran.note(0)
        })
    }
    #expect(queue.submit { gates[0].pass() })
    #expect(
      queue.submit {
        ran.note(1)
        gates[1].pass()
      })
    #expect(queue.submit { ran.note(2) })
    gates[0].open()
    _ = ran.wait(for: 2)
    #expect(held == nil)
    gates[1].open()
    #expect(ran.wait(for: 3) == [0, 1, 2])
  }

  @Test func aSimulatedOneRunsItemsLaterAndRefusesSome() {
    let network = SimulatedNetwork(seed: 3)
    network.weather.slowReads = 0.5
    network.weather.refusedReads = 0.2
    let queue = DiskQueue(in: network)
    let ran = Ran()
    let taken = (0..<200).filter { number in queue.submit { ran.note(number) } }
    #expect(ran.all.isEmpty && taken.count < 200 && taken.count > 100)
    let begun = network.now
    while network.step() {}
    #expect(ran.all.sorted() == taken && ran.all != taken)
    #expect(network.now - begun > .milliseconds(50))
  }
}
