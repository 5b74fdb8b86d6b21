import CBlocks
internal import COpenSSL

/// Where OpenSSL's memory comes from.
public enum TLSMemory {
  /// Has each thread keep the blocks that OpenSSL frees on it for what it needs next.
  ///
  /// It allocates seven blocks for a record and hundreds for a handshake; in steady traffic none of them reaches the
  /// system's allocator. To be called before anything uses OpenSSL; false where something had, and all is as without.
  @discardableResult
  public static func keepBlocks() -> Bool { areKept }

  private static let areKept =
    unsafe CRYPTO_set_mem_functions(block_new, block_resize, block_free) == 1
}
