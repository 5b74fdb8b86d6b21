import Base
import COpenSSL
import Foundation
import System
import TestKit
import Testing

@testable import TLS

/// One direction of a network: it takes so much and no more until it is emptied.
private final class MemorySocket: CiphertextSocket {
  var window: Int
  var sent: [UInt8] = []
  var sends = 0
  var inbox: [UInt8] = []
  var hasEnded = false

  init(window: Int = .max) { self.window = window }

  func receive(into room: UnsafeMutableRawBufferPointer) -> IOResult {
    if inbox.isEmpty { return hasEnded ? .end : .wouldBlock }
    let count = min(room.count, inbox.count)
    inbox.withUnsafeBytes { room.copyMemory(from: .init(rebasing: $0[..<count])) }
    inbox.removeFirst(count)
    return .bytes(count)
  }

  func send(_ bytes: RawSpan) -> IOResult {
    let count = min(bytes.byteCount, window - sent.count)
    if count <= 0 { return .wouldBlock }
    sends += 1
    sent += bytes.extracting(0..<count).array
    return .bytes(count)
  }

  func send(_ first: RawSpan, _ second: RawSpan) -> IOResult {
    var both = ByteBuffer(capacity: first.byteCount + second.byteCount)
    both.append(first)
    both.append(second)
    return send(both.readable)
  }
}

@Suite struct TLSStreams {
  /// A server's stream, and a client that reads what it sends.
  private final class Talk {
    let socket = MemorySocket()
    let stream: TLSStream
    let pair: Pair

    init() throws {
      let all = try Certificates.all.get()
      pair = try Pair(try Certificates.server([all.first]), try all.peer("first.test"))
      stream = TLSStream(pair.server, pair.serverBuffers)
      pair.settle()
    }

    func deliver() {
      let sent = socket.sent
      socket.sent = []
      pair.give(sent, to: pair.client, &pair.atClient)
    }

    func send(_ bytes: [UInt8], more: Bool = false) -> IOResult {
      var piece = ByteBuffer(capacity: bytes.count)
      piece.append(bytes)
      return piece.withReadable { stream.send($0, more: more, to: socket) }
    }
  }

  @Test func manyRecordsGoInOneSend() throws {
    let talk = try Talk()
    // Little at first: nothing is known of the client.
    #expect(talk.send(noise(250_000, seed: 9)) == .bytes(250_000))
    #expect(talk.socket.sends == 4)
    talk.deliver()
    talk.pair.atClient = []
    let text = noise(250_000, seed: 1)
    #expect(talk.send(text) == .bytes(text.count))
    #expect(talk.socket.sends == 5)
    talk.deliver()
    #expect(talk.pair.atClient == text)
  }

  /// The tickets of TLS 1.3, where the first request comes with the end of the handshake.
  @Test(arguments: [true, false]) func aServersLastWordsGoWithTheAnswer(isAnswered: Bool) throws {
    let all = try Certificates.all.get()
    let pair = try Pair(try Certificates.server([all.first]), try all.peer("first.test"))
    let stream = TLSStream(pair.server, pair.serverBuffers)
    let socket = MemorySocket()
    var room = [UInt8](repeating: 0, count: 1000)
    func receive() -> IOResult {
      socket.inbox = pair.take(pair.clientBuffers)
      return room.withUnsafeMutableBytes { stream.receive(into: $0, from: socket) }
    }
    #expect(receive() == .wouldBlock && socket.sends == 1)
    pair.give(socket.sent, to: pair.client, &pair.atClient)
    socket.sent = []
    #expect(pair.send([1, 2, 3], from: pair.client))
    #expect(receive() == .bytes(3) && room[..<3] == [1, 2, 3])
    #expect(socket.sends == 1 && stream.awaitsMore && stream.holdsOutput)
    if isAnswered {
      let answer: [UInt8] = [4, 5]
      #expect(stream.send(answer.rawBytes, to: socket) == .bytes(2))
    } else {
      #expect(stream.push(to: socket) == nil)
    }
    #expect(socket.sends == 2 && !stream.awaitsMore && !stream.holdsOutput)
    pair.give(socket.sent, to: pair.client, &pair.atClient)
    #expect(pair.atClient == (isAnswered ? [4, 5] : []))
    #expect(SSL_SESSION_has_ticket(SSL_get_session(pair.client.ssl)) == 1)
    // From now on words of the protocol do not wait.
    #expect(SSL_key_update(pair.client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
    #expect(SSL_do_handshake(pair.client.ssl) == 1)
    #expect(pair.send([6], from: pair.client))
    #expect(receive() == .bytes(1) && !stream.holdsOutput)
  }

  @Test func headAndBodyGoTogether() throws {
    let talk = try Talk()
    let head = noise(300, seed: 2)
    let body = noise(30_000, seed: 3)
    #expect(talk.send(head, more: true) == .bytes(300))
    #expect(talk.socket.sends == 0 && talk.stream.holdsOutput)
    #expect(talk.send(body) == .bytes(body.count))
    #expect(talk.socket.sends == 1 && !talk.stream.holdsOutput)
    var first = ByteBuffer(capacity: 300)
    var second = ByteBuffer(capacity: 20_000)
    first.append(head)
    second.append(Array(body[..<20_000]))
    #expect(
      talk.stream.send(first.readable, second.readable, to: talk.socket) == .bytes(20_300))
    #expect(talk.socket.sends == 2)
    talk.deliver()
    #expect(talk.pair.atClient == head + body + head + body[..<20_000])
  }

  @Test func whatTheSocketDoesNotTakeIsHeld() throws {
    let talk = try Talk()
    talk.socket.window = 100_000
    let text = noise(1_000_000, seed: 4)
    guard case .bytes(var taken) = talk.send(text) else {
      Issue.record("nothing was taken")
      return
    }
    // Not more than one portion beyond what went.
    #expect(taken <= TLSSession.mostPlaintext && talk.stream.holdsOutput)
    #expect(talk.send([1]) == .wouldBlock)
    #expect(talk.stream.push(to: talk.socket) == .wouldBlock)
    var rounds = 0
    while taken < text.count || talk.stream.holdsOutput {
      talk.deliver()
      rounds += 1
      try #require(rounds < 1_000)
      if talk.stream.push(to: talk.socket) != nil { continue }
      if taken == text.count { break }
      guard case .bytes(let count) = talk.send(Array(text[taken...])) else { continue }
      taken += count
    }
    talk.deliver()
    #expect(talk.pair.atClient == text)
  }

  /// The last record lies in OpenSSL's buffer until the socket has been asked; with a part of it taken the rest
  /// must not be what OpenSSL makes next.
  @Test(arguments: [4_095, 4_096, 16_384, 16_784, 32_768, 250_000], [false, true])
  func aLentRecordIsHeldWhereTheSocketTakesAPart(count: Int, newKeys: Bool) throws {
    let whole = noise(count, seed: 8)
    let next = noise(5_000, seed: 9)
    /// Sends with so much room, then the rest; how long the records were.
    func send(window: Int) throws -> Int {
      let talk = try Talk()
      // After that as much as can be goes in one send.
      #expect(talk.send(noise(250_000, seed: 9)) == .bytes(250_000))
      talk.deliver()
      talk.pair.atClient = []
      talk.socket.window = window
      // Words of the protocol's own come first then, in a record of theirs.
      if newKeys {
        #expect(SSL_key_update(talk.pair.server.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
      }
      #expect(talk.send(whole) == .bytes(count), "\(window)")
      let length = talk.socket.sent.count
      #expect(talk.stream.holdsOutput == (length == window))
      talk.deliver()
      talk.socket.window = .max
      #expect(talk.stream.push(to: talk.socket) == nil)
      #expect(talk.send(next) == .bytes(next.count))
      talk.deliver()
      #expect(talk.pair.atClient == whole + next, "\(window)")
      return length
    }
    let length = try send(window: .max)
    #expect(length > count)
    let last = min(count, TLSSession.recordBytes) + 22
    for window in [
      0, 1, length - last - 1, length - last, length - last + 1, length / 2, length - 1,
    ]
    where window >= 0 {
      _ = try send(window: window)
    }
  }

  /// Their sizes around a record's, and around those of one with what is about it.
  @Test(arguments: [4_095, 4_096, 4_097, 4_110, 4_117, 4_118, 4_124, 16_384, 40_000])
  func whoAsksForShortRecordsGetsThem(count: Int) throws {
    for newest in [TLS1_2_VERSION, TLS1_3_VERSION] {
      let all = try Certificates.all.get()
      let pair = try Pair(
        try Certificates.server([all.first]), try all.peer("first.test", atMost: newest)
      ) { #expect(SSL_set_tlsext_max_fragment_length($0.ssl, 4) == 1) }
      pair.settle()
      let stream = TLSStream(pair.server, pair.serverBuffers)
      let socket = MemorySocket()
      let text = noise(count, seed: 5)
      #expect(stream.send(text.rawBytes, to: socket) == .bytes(count))
      pair.give(socket.sent, to: pair.client, &pair.atClient)
      #expect(pair.atClient == text && socket.sent.count > count + 20 * (count / 4_097))
    }
  }

  @Test(.enabled(if: TLSSession.keepsBuffers))
  func aRecordIsLentWithWhatComesBeforeIt() throws {
    let talk = try Talk()
    func encrypt(_ bytes: [UInt8]) -> (copied: Int, lent: Int) {
      var plain = ByteBuffer(capacity: bytes.count)
      plain.append(bytes)
      let isDone = plain.withReadable { talk.pair.server.encrypt($0, lending: true) }
      #expect(isDone)
      return (talk.pair.serverBuffers.output.count, talk.pair.server.lentBytes)
    }
    let around = 22
    // A record is full, and a rest comes before it.
    let text = noise(16_784, seed: 3)
    #expect(encrypt(text) == (400 + around, 16_384 + around))
    // Who asks for more before it is gone loses nothing.
    #expect(encrypt([1, 2, 3]).lent == 0)
    talk.pair.settle()
    #expect(talk.pair.atClient == text + [1, 2, 3])
    #expect(encrypt(noise(4_095, seed: 4)).lent == 0)
    #expect(encrypt(noise(4_096, seed: 4)) == (4_095 + around, 4_096 + around))
    talk.pair.server.endLending(keepingFrom: 4_096 + around)
    #expect(talk.pair.server.lentBytes == 0)
    #expect(talk.pair.serverBuffers.output.count == 4_095 + around)
  }

  @Test func filesAreReadAndSent() throws {
    let talk = try Talk()
    let folder = try TemporaryFolder()
    let text = noise(700_001, seed: 5)
    try folder.write(text, to: "file")
    let file = try File(path: folder.file("file"), .read)
    #expect(talk.send([1, 2], more: true) == .bytes(2))
    let result = talk.stream.sendFile(file.reference, offset: 1, count: 700_000, to: talk.socket)
    #expect(result == .bytes(700_000))
    // Beyond the file's end nothing is left; what waited goes all the same.
    #expect(talk.send([3], more: true) == .bytes(1))
    let beyond = talk.stream.sendFile(file.reference, offset: 800_000, count: 5, to: talk.socket)
    #expect(beyond == .end && !talk.stream.holdsOutput)
    talk.deliver()
    #expect(talk.pair.atClient == [1, 2] + text[1...] + [3])
  }

  @Test(arguments: [1, 400, 4_095, 4_096, 60_000])
  func aHeadGoesBeforeAFile(length: Int) throws {
    let talk = try Talk()
    let folder = try TemporaryFolder()
    let text = noise(300_000, seed: 6)
    try folder.write(text, to: "file")
    let file = try File(path: folder.file("file"), .read)
    let head = noise(length, seed: 7)
    let beyond = talk.stream.sendFile(
      file.reference, offset: 300_000, count: 5, behind: head.rawBytes, to: talk.socket)
    // A short one is not sent without the file, and counts as not taken.
    var expected = length < 4_096 ? [] : head
    #expect(beyond == (length < 4_096 ? .end : .bytes(length)))
    for count in [0, 100, 300_000] {
      let result = talk.stream.sendFile(
        file.reference, offset: 0, count: count, behind: head.rawBytes, to: talk.socket)
      #expect(result == .bytes(length + count))
      expected += head + text[..<count]
    }
    talk.deliver()
    #expect(talk.pair.atClient == expected)
  }

  @Test func endsAreToldApart() throws {
    for isOrderly in [true, false] {
      let talk = try Talk()
      #expect(talk.pair.send([7, 8], from: talk.pair.client))
      if isOrderly { talk.pair.client.close() }
      talk.socket.inbox = talk.pair.take(talk.pair.clientBuffers)
      talk.socket.hasEnded = true
      var room = [UInt8](repeating: 0, count: 100)
      let results = (0..<2).map { _ in
        room.withUnsafeMutableBytes { talk.stream.receive(into: $0, from: talk.socket) }
      }
      let end = isOrderly ? IOResult.end : .broken(SystemError.connectionReset)
      #expect(results == [.bytes(2), end])
      #expect(room[..<2] == [7, 8])
    }
  }

  /// Where the end stands right behind a part of a record nothing tells of it again.
  @Test func anEndBehindAPartOfARecordIsSeenAtOnce() throws {
    let talk = try Talk()
    #expect(talk.pair.send([7, 8], from: talk.pair.client))
    talk.socket.inbox = talk.pair.take(talk.pair.clientBuffers).dropLast()
    talk.socket.hasEnded = true
    var room = [UInt8](repeating: 0, count: 100)
    let result = room.withUnsafeMutableBytes { talk.stream.receive(into: $0, from: talk.socket) }
    #expect(result == .broken(SystemError.connectionReset))
  }

  /// OpenSSL answers any number of requests for new keys, and gives nothing meanwhile.
  @Test(arguments: [false, true]) func newKeysWithoutEndEndTheSession(withBytes: Bool) throws {
    let talk = try Talk()
    for _ in 0..<5000 {
      #expect(SSL_key_update(talk.pair.client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
      #expect(SSL_do_handshake(talk.pair.client.ssl) == 1)
      if withBytes { #expect(talk.pair.send([1], from: talk.pair.client)) }
    }
    talk.socket.inbox = talk.pair.take(talk.pair.clientBuffers)
    let all = talk.socket.inbox.count
    var room = [UInt8](repeating: 0, count: 100_000)
    var result = IOResult.wouldBlock
    repeat {
      result = room.withUnsafeMutableBytes { talk.stream.receive(into: $0, from: talk.socket) }
    } while result == .bytes(1)
    if case .bytes(let count) = result {
      // What came before is given first.
      #expect(count <= 33)
      result = room.withUnsafeMutableBytes { talk.stream.receive(into: $0, from: talk.socket) }
    }
    #expect(result == .broken(SystemError.protocolError))
    #expect(talk.stream.session.failure == "the peer asks for new keys without end")
    #expect(talk.socket.sent.count < 10_000 && talk.socket.inbox.count > all / 3)
  }

  /// Now and then is fine, however long a connection lasts.
  @Test func newKeysWithMuchBetweenThemAreFine() throws {
    let talk = try Talk()
    let text = [UInt8](repeating: 9, count: 250_000)
    for _ in 0..<100 {
      #expect(SSL_key_update(talk.pair.client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
      #expect(SSL_do_handshake(talk.pair.client.ssl) == 1)
      let isSent = (0..<5).allSatisfy { _ in talk.pair.send(text, from: talk.pair.client) }
      #expect(isSent)
      talk.socket.inbox = talk.pair.take(talk.pair.clientBuffers)
      var room = [UInt8](repeating: 0, count: 1 << 20)
      var count = 0
      while case .bytes(let more) = room.withUnsafeMutableBytes({
        talk.stream.receive(into: $0, from: talk.socket)
      }) { count += more }
      #expect(count == 5 * text.count)
      talk.deliver()
    }
  }

  @Test func garbageIsAnsweredWithAnAlertAndTheEnd() throws {
    let all = try Certificates.all.get()
    let buffers = TLSBuffers()
    let session = try TLSSession(server: try Certificates.server([all.first]), buffers)
    let stream = TLSStream(session, buffers)
    let socket = MemorySocket()
    socket.inbox = Array("GET / HTTP/1.1\r\n\r\n".utf8)
    var room = [UInt8](repeating: 0, count: 100)
    let result = room.withUnsafeMutableBytes { stream.receive(into: $0, from: socket) }
    #expect(result == .broken(SystemError.protocolError))
    #expect(session.state == .failed && buffers.output.isEmpty)
  }

  @Test func certificatesAreSwappedWhole() throws {
    let authority = try TestAuthority()
    func issue(_ name: String) throws { _ = try authority.issue([name], as: "gw") }
    try issue("one.test")
    let files = CertificateFiles(
      certificate: authority.folder.file("gw.pem"), key: authority.folder.file("gw.key"))
    let store = try CertificateStore(
      CertificateStore.Options(certificates: [files]), now: 0, wall: 0)
    let before = store.current
    #expect(store.look(at: 0) == nil)
    try authority.folder.write("nothing", to: "gw.key")
    // A file must have stood still for one look.
    #expect(store.look(at: 0) == nil)
    guard case .unusable(let why) = store.look(at: 0) else {
      Issue.record("a bad key was taken")
      return
    }
    #expect(why.contains("no private key"))
    #expect(store.look(at: 0) == nil && store.current === before && store.failures == 1)
    try FileManager.default.removeItem(atPath: files.key)
    #expect(store.look(at: 0) == .unusable("\(files.key): no such file or directory"))
    #expect(store.look(at: 0) == nil && store.current === before)
    try issue("two.test")
    #expect(store.look(at: 0) == nil)
    #expect(store.look(at: 0) == .used(1))
    #expect(store.current !== before && store.swaps == 1)
  }
}
