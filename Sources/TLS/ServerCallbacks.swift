internal import COpenSSL

/// What OpenSSL asks a server in a handshake.
///
/// Its contexts know their `ServerCertificates`, which sessions keep alive, and which own the contexts.
enum ServerCallbacks {
  /// The place for ours among a context's data; -1 where OpenSSL has no memory.
  private static let place = CRYPTO_get_ex_new_index(
    CRYPTO_EX_INDEX_SSL_CTX, 0, nil, nil, nil, nil)

  /// One name for all contexts, since a ticket may be used with any of them.
  private static let sessionName: [UInt8] = Array("sluice".utf8)

  static func set(on context: TLSContext, for certificates: ServerCertificates) {
    let pointer = unsafe context.pointer
    unsafe SSL_CTX_set_ex_data(pointer, place, Unmanaged.passUnretained(certificates).toOpaque())
    unsafe sessionName.withUnsafeBufferPointer { name in
      _ = unsafe SSL_CTX_set_session_id_context(
        pointer, name.baseAddress, UInt32(clamping: name.count))
    }
    unsafe openssl_on_server_name(pointer) { ssl, _, _ in
      unsafe ServerCallbacks.chooseCertificate(ssl)
    }
    unsafe openssl_on_status(pointer) { ssl, _ in unsafe ServerCallbacks.giveStaple(ssl) }
    unsafe openssl_on_ticket(pointer) { ssl, name, vector, cipher, mac, isNew in
      unsafe ServerCallbacks.prepareTicket(ssl, name, vector, cipher, mac, isNew == 1)
    }
    unsafe SSL_CTX_set_alpn_select_cb(
      pointer,
      { ssl, out, outCount, offered, offeredCount, _ in
        unsafe ServerCallbacks.chooseProtocol(ssl, out, outCount, offered, offeredCount)
      }, nil)
  }

  private static func certificates(_ ssl: OpaquePointer?) -> ServerCertificates? {
    guard let context = unsafe SSL_get_SSL_CTX(ssl),
      let data = unsafe SSL_CTX_get_ex_data(context, place)
    else { return nil }
    return unsafe Unmanaged<ServerCertificates>.fromOpaque(data).takeUnretainedValue()
  }

  /// SNI (RFC 6066, section 3): the certificates of the name; the first ones where nobody has it.
  private static func chooseCertificate(_ ssl: OpaquePointer?) -> Int32 {
    guard let certificates = unsafe certificates(ssl),
      let text = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
    else { return SSL_TLSEXT_ERR_NOACK }
    let name = unsafe Array(String(cString: text).utf8)
    guard let set = certificates.names.set(for: name) else { return SSL_TLSEXT_ERR_NOACK }
    let isSet = unsafe SSL_set_SSL_CTX(ssl, certificates.contexts[set].pointer) != nil
    return isSet ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL
  }

  private static func chooseProtocol(
    _ ssl: OpaquePointer?, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ outCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ count: UInt32
  ) -> Int32 {
    guard let certificates = unsafe certificates(ssl), let out = unsafe out,
      let offered = unsafe offered, !certificates.protocols.isEmpty
    else { return SSL_TLSEXT_ERR_NOACK }
    var chosen: UnsafeMutablePointer<UInt8>?
    let found = unsafe certificates.protocols.withUnsafeBufferPointer { ours in
      unsafe SSL_select_next_proto(
        &chosen, outCount, ours.baseAddress, UInt32(clamping: ours.count), offered, count)
    }
    // RFC 7301, section 3.2: without a common protocol the handshake ends.
    guard found == OPENSSL_NPN_NEGOTIATED, let chosen = unsafe chosen else {
      return SSL_TLSEXT_ERR_ALERT_FATAL
    }
    // It may lie in our list, which the certificates own, and they outlive the session.
    unsafe out.pointee = UnsafePointer(chosen)
    return SSL_TLSEXT_ERR_OK
  }

  private static func giveStaple(_ ssl: OpaquePointer?) -> Int32 {
    guard let certificates = unsafe certificates(ssl), let context = unsafe SSL_get_SSL_CTX(ssl),
      let set = certificates.contexts.firstIndex(where: { unsafe $0.pointer == context }),
      let key = unsafe SSL_get_privatekey(ssl)
    else { return SSL_TLSEXT_ERR_NOACK }
    let kind = unsafe EVP_PKEY_get_base_id(key)
    guard let staple = certificates.staple(context: set, kind: kind),
      let copy = unsafe openssl_allocate(staple.bytes.count)
    else { return SSL_TLSEXT_ERR_NOACK }
    unsafe staple.bytes.withUnsafeBytes { bytes in
      unsafe UnsafeMutableRawBufferPointer(start: copy, count: bytes.count).copyMemory(from: bytes)
    }
    unsafe openssl_set_staple(
      ssl, copy.assumingMemoryBound(to: UInt8.self), staple.bytes.count)
    return SSL_TLSEXT_ERR_OK
  }

  /// Sets up how a ticket is encrypted, or decrypted: 1, or 2 where it is to be made anew, 0 where its
  /// key is not known (SSL_CTX_set_tlsext_ticket_key_evp_cb, 3).
  private static func prepareTicket(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?,
    _ vector: UnsafeMutablePointer<UInt8>?, _ cipher: OpaquePointer?, _ mac: OpaquePointer?,
    _ isNew: Bool
  ) -> Int32 {
    guard let certificates = unsafe certificates(ssl), let name = unsafe name,
      let vector = unsafe vector
    else { return -1 }
    if isNew {
      guard let key = certificates.tickets.current(), unsafe RAND_bytes(vector, 16) == 1 else {
        return 0
      }
      for index in 0..<16 { unsafe name[index] = key.name[index] }
      return unsafe set(key, vector, cipher, mac, isNew: true) ? 1 : -1
    }
    var wanted = InlineArray<16, UInt8>(repeating: 0)
    for index in 0..<16 { unsafe wanted[index] = name[index] }
    guard let (key, isCurrent) = certificates.tickets.find(wanted) else { return 0 }
    guard unsafe set(key, vector, cipher, mac, isNew: false) else { return -1 }
    return isCurrent ? 1 : 2
  }

  /// AES-256-CBC, looked up once: else each ticket would look through OpenSSL's providers for it.
  private nonisolated(unsafe) static let ticketCipher: OpaquePointer? =
    unsafe EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)

  private static func set(
    _ key: TicketKeys.Key, _ vector: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer?,
    _ mac: OpaquePointer?, isNew: Bool
  ) -> Bool {
    let isKeyed = unsafe key.mac.span.withUnsafeBufferPointer { secret in
      unsafe openssl_set_mac_key(mac, secret.baseAddress, secret.count) == 1
    }
    return unsafe key.cipher.span.withUnsafeBufferPointer { secret in
      unsafe isKeyed
        && EVP_CipherInit_ex(
          cipher, ticketCipher, nil, secret.baseAddress, vector, isNew ? 1 : 0) == 1
    }
  }
}
