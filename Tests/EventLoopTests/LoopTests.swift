import Base
import System
import Testing

@testable import EventLoop

@Suite struct LoopTests {
  let network = SimulatedNetwork(seed: 1)
  let loop: Loop

  init() {
    loop = Loop(in: network)
  }

  func settle() { while network.step() {} }

  // MARK: Timers

  @Test func timersFireInOrderAndNotBeforeTheirTime() {
    let noter = Noter { [network] in network.now }
    let handle = loop.enrol(noter)
    let start = loop.now
    for tag in [30, 10, 20, 4_000, 70_000] as [UInt32] {
      loop.setTimer(handle, tag: tag, at: start + .milliseconds(Int(tag)))
    }
    settle()
    #expect(noter.tags == [10, 20, 30, 4_000, 70_000])
    for (tag, time) in zip(noter.tags, noter.times) {
      let due = start + .milliseconds(Int(tag))
      #expect(time >= due && time < due + .milliseconds(21))
    }
  }

  @Test func aDismissedHandlerIsNotCalled() {
    let gone = Noter()
    let heir = Noter()
    let handle = loop.enrol(gone)
    loop.setTimer(handle, tag: 1, at: loop.now + .milliseconds(10))
    loop.dismiss(handle)
    // Its place is taken by another, which must not get its timers.
    let next = loop.enrol(heir)
    #expect(next.index == handle.index)
    loop.setTimer(next, tag: 2, at: loop.now + .milliseconds(20))
    settle()
    #expect(gone.tags == [])
    #expect(heir.tags == [2])
  }

  @Test func oneTimerMayDismissTheNextOfTheSameTurn() {
    let first = Noter()
    let second = Noter()
    let handle = loop.enrol(second)
    loop.setTimer(loop.enrol(first), tag: 1, at: loop.now + .milliseconds(10))
    loop.setTimer(handle, tag: 2, at: loop.now + .milliseconds(10))
    first.onDeadline = { [loop] _ in loop.dismiss(handle) }
    settle()
    #expect(first.tags == [1])
    #expect(second.tags == [])
  }

  @Test func aTimerSetWithinATimerFiresLater() {
    let noter = Noter()
    let handle = loop.enrol(noter)
    noter.onDeadline = { [loop] tag in
      if tag < 5 { loop.setTimer(handle, tag: tag + 1, at: loop.now) }
    }
    loop.setTimer(handle, tag: 1, at: loop.now)
    settle()
    #expect(noter.tags == [1, 2, 3, 4, 5])
  }

  // MARK: Promises

  @Test func promisesAreKeptInOrderAtTheEndOfTheTurn() {
    let noter = Noter()
    var ends = 0
    loop.endOfTurn.append { ends += 1 }
    loop.soon(noter, tag: 1)
    loop.soon(noter, tag: 2)
    let promise = SendableBox { [loop] in loop.soon(noter, tag: UInt32($0)) }
    loop.mailbox.post { promise.body(3) }
    loop.turn(limit: .zero)
    #expect(noter.tags == [1, 2, 3])
    #expect(ends == 1)
    loop.turn(limit: .zero)
    #expect(noter.tags == [1, 2, 3])
    #expect(ends == 2)
  }

  @Test func aPromiseWithinAPromiseWaitsForTheNextTurn() {
    let noter = Noter()
    noter.onDeadline = { [loop] tag in
      if tag < 3 { loop.soon(noter, tag: tag + 1) }
    }
    loop.soon(noter, tag: 1)
    for turn in 1...3 {
      loop.turn(limit: .zero)
      #expect(noter.tags == (1...UInt32(turn)).map(\.self))
    }
    #expect(!loop.hasWork(at: loop.now))
  }

  @Test func promisesHoldTheirHandler() {
    weak var held: Noter?
    do {
      let noter = Noter()
      held = noter
      loop.soon(noter, tag: 1)
    }
    #expect(held != nil)
    loop.turn(limit: .zero)
    #expect(held == nil)
  }

  // MARK: Messages

  @Test func messagesRunInOrderAndTheirOwnWaitForTheNextTurn() {
    var ran: [Int] = []
    let note = SendableBox { ran.append($0) }
    let mailbox = loop.mailbox
    for number in 1...3 {
      mailbox.post {
        note.body(number)
        if number == 2 { mailbox.post { note.body(4) } }
      }
    }
    #expect(loop.hasWork(at: loop.now))
    loop.turn(limit: .zero)
    #expect(ran == [1, 2, 3])
    #expect(loop.hasWork(at: loop.now))
    loop.turn(limit: .zero)
    #expect(ran == [1, 2, 3, 4])
    #expect(!loop.hasWork(at: loop.now))
  }

  // MARK: A real loop

  @Test func anotherThreadsMessagesEndTheWaitOfARealLoop() throws {
    let real = try Loop()
    let mailbox = real.mailbox
    let batches = 20
    let ran = Monitor([Int]())
    let thread = try Thread(name: "poster") {
      for batch in 0..<batches {
        for number in 0..<50 { mailbox.post { ran.with { $0.append(batch * 50 + number) } } }
        // Until they have run: so each batch has to wake the loop anew.
        ran.wait { $0.count == (batch + 1) * 50 ? () : nil }
      }
    }
    let start = Clock.now
    while ran.with({ $0.count }) < batches * 50 && Clock.now - start < .seconds(60) {
      real.turn(limit: .seconds(30))
      ran.broadcast()
    }
    thread.join()
    #expect(ran.with { $0 } == Array(0..<batches * 50))
    // A wake-up that were lost would have cost its wait of half a minute.
    #expect(Clock.now - start < .seconds(25))
  }

  @Test func aRealLoopMeetsItsTimers() throws {
    let real = try Loop()
    let noter = Noter { Clock.now }
    let handle = real.enrol(noter)
    let due = Clock.now + .milliseconds(25)
    real.setTimer(handle, tag: 1, at: due)
    noter.onDeadline = { _ in real.stop() }
    real.run()
    #expect(noter.tags == [1])
    #expect(noter.times.allSatisfy { $0 >= due })
    #expect(real.turns > 0 && real.turns < 20, "a loop that waits must not spin")
  }

  @Test func aRealLoopDoesNotSleepOverAPromise() throws {
    let real = try Loop()
    let noter = Noter()
    noter.onDeadline = { tag in
      if tag < 100 { real.soon(noter, tag: tag + 1) }
    }
    real.soon(noter, tag: 1)
    let start = Clock.now
    for _ in 0..<100 { real.turn(limit: .seconds(30)) }
    #expect(noter.tags.count == 100)
    #expect(Clock.now - start < .seconds(25))
  }
}

/// A closure of this thread, for messages that run on this thread too.
private struct SendableBox: @unchecked Sendable {
  let body: (Int) -> Void
}
