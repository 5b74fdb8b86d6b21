public import Base
public import IPFS

extension Gateway {
  /// What a name below `/ipns` leads to, if it has been resolved and counts; a key or a DNSLink name.
  public func root(ofName name: RawSpan, at now: Instant) -> CID? {
    switch names.find(NameTable.canonical(name), now: now) {
    case .unknown: nil
    case .fresh(let entry), .due(let entry), .past(let entry): entry.root
    }
  }

  /// Forgets what a name leads to; who asks for it next has it resolved anew.
  public func forget(name: RawSpan) { names.forget(NameTable.canonical(name)) }
}
