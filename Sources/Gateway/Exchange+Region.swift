internal import Base
internal import HTTP
internal import Server
internal import System
internal import Upstreams

/// Where the client is, and who has answered it.
extension Exchange {
  /// The place of the client's region among the map's; looked up for misses only.
  var region: Int {
    if regionPlace >= 0 { return regionPlace }
    let address = client ?? stream?.peer.networkAddress
    regionPlace = text.withReadable {
      worker.gateway.options.places.region(of: address, mark: $0.bytes(regionMark))
    }
    return regionPlace
  }

  /// Notes what a proxy, which is trusted, says of where the client is.
  func noteRegionMark(_ request: RequestHead, _ text: RawSpan) {
    let header = worker.gateway.options.places.header
    guard !header.isEmpty else { return }
    for field in request.fields where field.name.count == header.count {
      let name = text.bytes(field.name)
      if header.indices.allSatisfy({ name.byte($0).asciiLowercased == header[$0] }) {
        regionMark = field.value
        return
      }
    }
  }

  /// Says which server of which region the answer's head came from.
  ///
  /// Not on hits, which came from no server now, and not on Sluice's own words.
  func writeServer(on stream: ClientStream) {
    switch outcome {
    case .hit, .none, .error: return
    case .miss, .collapsed, .partial, .bypass:
      if !server.isEmpty { stream.field(named: "X-IPFS-Gateway", text: server) }
    }
  }
}
