internal import Base
internal import EventLoop
internal import Logging
internal import System
internal import Upstreams

/// Lines of the log about servers that do not answer, or answer wrong: of each kind and region one at once, and then
/// one every ten seconds with the number of requests that it stands for.
///
/// A region that is gone would else write a line for each request.
final class UpstreamTroubles: Sendable {
  enum Trouble: Hashable, Sendable {
    /// A request has failed with a fault of that kind.
    case noAnswer(Fault.Kind)
    /// The same of a request to the cluster's API.
    case cluster
    case wrongBytes
    case gaveUp
    case endedCAR
    case noOtherServer
    case disagreement

    fileprivate static let all =
      Fault.Kind.allCases.map(Trouble.noAnswer) + [
        .cluster, .wrongBytes, .gaveUp, .endedCAR, .noOtherServer, .disagreement,
      ]

    fileprivate var sentence: Logger.Message {
      switch self {
      case .noAnswer(.connect), .noAnswer(.unavailable): "no upstream server could be reached"
      case .noAnswer(.timeout): "no upstream server answered in time"
      case .noAnswer: "no upstream could answer"
      case .cluster: "no server of the cluster could answer"
      case .wrongBytes: "an upstream's bytes do not match their CID"
      case .gaveUp: "an upstream gave up within a body"
      case .endedCAR: "an upstream ended a CAR before it was whole"
      case .noOtherServer: "no upstream can go on with a body"
      case .disagreement: "two upstream servers disagree on a body's bytes"
      }
    }
  }

  private final class Pace: Sendable {
    let pace = LogPace()
  }

  private let paces: [[Trouble: Pace]]

  /// - Parameter regions: how many there are.
  init(regions: Int) {
    paces = (0..<max(1, regions)).map { _ in
      Dictionary(uniqueKeysWithValues: Trouble.all.map { ($0, Pace()) })
    }
  }

  /// For how many requests a line about this is due now; nil where it is held back.
  func due(_ trouble: Trouble, region: Int, at now: Instant) -> Int? {
    guard paces.indices.contains(region) else { return nil }
    return paces[region][trouble]?.pace.due(at: now)
  }
}

extension GatewayWorker {
  /// Tells the log of trouble that requests of a region have, if a line is due.
  ///
  /// - Parameter more: What else is to be said of the request that the line shows.
  func tell(
    _ trouble: UpstreamTroubles.Trouble, region: Int, _ fault: Fault? = nil,
    _ more: @autoclosure () -> Logger.Metadata = [:]
  ) {
    let regions = gateway.upstreams.regions
    guard let count = gateway.troubles.due(trouble, region: region, at: loop.now) else { return }
    var metadata = more()
    metadata["requests"] = .stringConvertible(count)
    if regions.indices.contains(region) { metadata["region"] = .string(regions[region].name) }
    if let fault {
      metadata["fault"] = .string(fault.name)
      if fault.errno != 0 { metadata["error"] = .string(SystemError.text(fault.errno)) }
    }
    log.warning(trouble.sentence, metadata: metadata)
  }
}
