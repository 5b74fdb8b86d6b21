import Testing

@testable import System

@Suite struct ThreadFaultsTests {
  @Test func readsNameAndFaults() throws {
    let stat = try #require(
      ThreadStat("417 (worker-0) S 1 417 417 0 -1 4194560 2301 7 58 9 12 3 0 0 20 0 9 0\n"))
    #expect(stat.name == "worker-0" && stat.majorFaults == 58)
  }

  @Test func aNameMayLookLikeFields() throws {
    let stat = try #require(ThreadStat("4 (a) (b) 1 2) R 1 4 4 0 -1 0 11 12 13 14 0\n"))
    #expect(stat.name == "a) (b) 1 2" && stat.majorFaults == 13)
  }

  @Test(arguments: ["", "4", "4 (a", "4 )a(", "4 (a) S 1 2", "4 (a) S 1 4 4 0 -1 0 11 12 x 14"])
  func whatIsNoSuchLineIsNil(text: String) {
    #expect(ThreadStat(text) == nil)
  }

  @Test func threadsAreFoundByName() throws {
    let text = try #require(SmallFile.read("/proc/self/stat"))
    let own = try #require(ThreadStat(text))
    #expect(ThreadFaults.major(ofThreads: String(own.name)) <= ThreadFaults.major(ofThreads: ""))
    #expect(ThreadFaults.major(ofThreads: "no thread has this name") == 0)
  }

  @Test func readsLimitsOfMemory() {
    #expect(MemoryLimit.limit(in: "1073741824\n") == 1 << 30)
    #expect(MemoryLimit.limit(in: "max\n") == nil)
    #expect(MemoryLimit.limit(in: "12 apples") == nil)
    #expect(
      MemoryLimit.files(ofGroups: "8:pids:/a\n4:cpu,memory:/a/b\n0::/c\nbroken\n0::/\n") == [
        "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "/sys/fs/cgroup/c/memory.max",
      ])
    #expect(MemoryLimit.bytes > 16 << 20 && MemoryLimit.bytes <= ProcessLimits.memory)
    #expect(SmallFile.read("/nowhere") == nil)
  }
}
