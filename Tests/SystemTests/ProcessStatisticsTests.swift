import Base
import Testing

@testable import System

@Suite struct ProcessStatisticsTests {
  @Test func readsTheLineOfAProcess() throws {
    let times = try #require(
      ProcessTimes(
        stat: "417 (a) (b) S 1 417 417 0 -1 4194560 2301 7 58 9 120 30 1 2 20 0 9 0 98765 1 2\n"))
    #expect(times.cpuTicks == 150 && times.startTicks == 98_765)
  }

  @Test(arguments: [
    "", "4", "4 (a", "4 (a) S 1 2", "4 (a) S 1 4 4 0 -1 0 1 2 3 4 x 6 7 8 9 1 2 3 4",
  ])
  func whatIsNoSuchLineIsNil(text: String) {
    #expect(ProcessTimes(stat: text) == nil)
  }

  @Test func readsMemoryAndLimits() {
    #expect(ProcessStatistics.pages(statm: "100 20 3 4 0 5 0\n")?.resident == 20)
    #expect(ProcessStatistics.pages(statm: "100 20 3 4 0 5 0\n")?.size == 100)
    #expect(ProcessStatistics.pages(statm: "x") == nil)
    let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files     1024    4096    files\n"
    #expect(ProcessStatistics.most(limits: limits) == 1_024)
    #expect(ProcessStatistics.most(limits: "Max open files  unlimited unlimited files\n") == nil)
    #expect(ProcessStatistics.most(limits: "") == nil)
  }

  @Test func thisProcessIsRunning() throws {
    let now = try #require(ProcessStatistics())
    #expect(now.residentBytes > 1 << 20 && now.virtualBytes >= now.residentBytes)
    #expect(now.openDescriptors > 2 && now.cpuSeconds >= 0)
    let (seconds, _) = Clock.wall()
    let age = Double(seconds) - ProcessStatistics.startSeconds
    #expect(age > -2 && age < 86_400)
    #expect(ProcessStatistics.startSeconds == ProcessStatistics.startSeconds)
  }
}
