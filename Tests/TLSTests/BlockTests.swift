import Base
import CBlocks
import Foundation
import TestKit
import Testing

/// Memory in blocks that threads keep.
@Suite struct BlockTests {
  /// On a thread of its own, which keeps nothing yet.
  private func onThread(_ body: @escaping @Sendable () -> Void) {
    let done = DispatchSemaphore(value: 0)
    Foundation.Thread.detachNewThread {
      body()
      done.signal()
    }
    #expect(done.wait(timeout: .now() + 60) == .success)
  }

  @Test func whatIsFreedIsUsedAgain() {
    onThread {
      let sizes = [1, 16, 48, 49, 64, 65, 1_000, 4_000, 17_000, 32_000, 32_752]
      for size in sizes {
        let first = block_new(size, nil, 0)
        first?.initializeMemory(as: UInt8.self, repeating: 0xaa, count: size)
        let before = blocks_kept()
        block_free(first, nil, 0)
        #expect(blocks_kept() >= before + UInt64(size), "\(size)")
        let second = block_new(size, nil, 0)
        #expect(second == first && blocks_kept() == before)
        block_free(second, nil, 0)
      }
      // Beyond 32 KiB the system has it back at once.
      let before = blocks_kept()
      let large = block_new(32_753, nil, 0)
      large?.initializeMemory(as: UInt8.self, repeating: 1, count: 32_753)
      block_free(large, nil, 0)
      #expect(blocks_kept() == before)
      #expect(block_new(0, nil, 0) == nil && block_new(.max, nil, 0) == nil)
      block_free(nil, nil, 0)
    }
  }

  @Test func aThreadKeepsSoMuchAndNoMore() {
    onThread {
      let blocks = (0..<1_000).map { _ in block_new(16_000, nil, 0) }
      for block in blocks { block_free(block, nil, 0) }
      #expect(blocks_kept() > 200_000 && blocks_kept() <= 256 << 10)
      let others = (1..<4_000).map { block_new($0 * 8, nil, 0) }
      for block in others { block_free(block, nil, 0) }
      #expect(blocks_kept() > 1_900_000 && blocks_kept() <= 2 << 20)
    }
  }

  /// Whatever is asked for, no block lies in another, all are aligned, and each keeps its bytes.
  @Test(arguments: [1, 2, 3] as [UInt64]) func blocksKeepTheirBytes(seed: UInt64) {
    onThread {
      var random = SeededRandom(seed: seed)
      var live: [(block: UnsafeMutableRawPointer, size: Int, mark: UInt8)] = []
      func isWhole(_ entry: (block: UnsafeMutableRawPointer, size: Int, mark: UInt8)) -> Bool {
        UnsafeRawBufferPointer(start: entry.block, count: entry.size).allSatisfy {
          $0 == entry.mark
        }
      }
      for step in 0..<20_000 {
        let size = 1 << random.number(in: 0...15) + random.number(in: 0...600)
        let mark = UInt8(truncatingIfNeeded: step)
        switch random.number(in: 0...4) {
        case 0, 1:
          guard let block = block_new(size, nil, 0) else { continue }
          #expect(Int(bitPattern: block) % 16 == 0)
          memset(block, Int32(mark), size)
          live.append((block, size, mark))
        case 2 where !live.isEmpty:
          let place = random.number(in: 0...live.count - 1)
          let entry = live[place]
          guard let block = block_resize(entry.block, size, nil, 0) else { continue }
          #expect(isWhole((block, min(size, entry.size), entry.mark)))
          memset(block, Int32(mark), size)
          live[place] = (block, size, mark)
        default:
          guard !live.isEmpty else { continue }
          let entry = live.remove(at: random.number(in: 0...live.count - 1))
          #expect(isWhole(entry))
          block_free(entry.block, nil, 0)
        }
      }
      for entry in live {
        #expect(isWhole(entry))
        block_free(entry.block, nil, 0)
      }
    }
  }

  @Test func blocksGrowAndGo() {
    onThread {
      let small = block_resize(nil, 10, nil, 0)
      #expect(small != nil && block_resize(small, 48, nil, 0) == small)
      let large = block_resize(small, 100_000, nil, 0)
      #expect(large != nil && blocks_kept() == 64)
      #expect(block_resize(large, 0, nil, 0) == nil && blocks_kept() == 64)
    }
  }

  /// A block goes to the thread that frees it.
  @Test func threadsGiveBlocksToEachOther() {
    nonisolated(unsafe) var blocks: [UnsafeMutableRawPointer?] = []
    onThread { blocks = (0..<100).map { block_new($0 * 20 + 1, nil, 0) } }
    onThread {
      for block in blocks { block_free(block, nil, 0) }
      #expect(blocks_kept() > 100 * 64)
    }
  }
}
