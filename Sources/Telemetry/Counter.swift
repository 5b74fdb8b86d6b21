public import Base

/// Everything that is counted: one line for each, its text being the series that Prometheus sees.
///
/// The text before the brace is the family, the text inside it fixed labels. The cases of a family
/// stand together; a new family also needs its sentence in `MetricFamily.help`.
public enum Counter: String, CaseIterable, Sendable {
  case requestHit = #"sluice_requests_total{cache="hit"}"#
  case requestMiss = #"sluice_requests_total{cache="miss"}"#
  case requestCollapsed = #"sluice_requests_total{cache="collapsed"}"#
  case requestPartial = #"sluice_requests_total{cache="partial"}"#
  case requestBypass = #"sluice_requests_total{cache="bypass"}"#
  case requestNone = #"sluice_requests_total{cache="none"}"#
  case requestError = #"sluice_requests_total{cache="error"}"#

  case responseBytes = "sluice_response_bytes_total"
  case requestBodyBytes = "sluice_request_body_bytes_total"

  case connectionAccepted = "sluice_connections_accepted_total"
  case connectionHandedOver = "sluice_connections_handed_over_total"
  case acceptPause = "sluice_accept_pauses_total"
  case http2Connection = "sluice_http2_connections_total"
  case http2Stream = "sluice_http2_requests_total"
  case http2FloodReset = #"sluice_http2_floods_total{frame="rst_stream"}"#
  case http2FloodContinuation = #"sluice_http2_floods_total{frame="continuation"}"#
  case http2FloodPing = #"sluice_http2_floods_total{frame="ping"}"#
  case http2FloodSettings = #"sluice_http2_floods_total{frame="settings"}"#
  case http2FloodEmptyData = #"sluice_http2_floods_total{frame="empty_data"}"#
  case http2FloodPriority = #"sluice_http2_floods_total{frame="priority"}"#
  case http2FloodWindowUpdate = #"sluice_http2_floods_total{frame="window_update"}"#
  case http2FloodFields = #"sluice_http2_floods_total{frame="headers"}"#
  case http2FloodOther = #"sluice_http2_floods_total{frame="other"}"#
  case proxyUntrusted = #"sluice_proxy_header_refusals_total{reason="untrusted"}"#
  case proxyHeaderMalformed = #"sluice_proxy_header_refusals_total{reason="malformed"}"#
  case tlsHandshakeFull = #"sluice_tls_handshakes_total{outcome="full"}"#
  case tlsHandshakeResumed = #"sluice_tls_handshakes_total{outcome="resumed"}"#
  case tlsHandshakeFailed = #"sluice_tls_handshakes_total{outcome="failed"}"#

  case refusal400 = #"sluice_request_refusals_total{reason="400"}"#
  case refusal403 = #"sluice_request_refusals_total{reason="403"}"#
  case refusal405 = #"sluice_request_refusals_total{reason="405"}"#
  case refusal408 = #"sluice_request_refusals_total{reason="408"}"#
  case refusal410 = #"sluice_request_refusals_total{reason="410"}"#
  case refusal411 = #"sluice_request_refusals_total{reason="411"}"#
  case refusal413 = #"sluice_request_refusals_total{reason="413"}"#
  case refusal414 = #"sluice_request_refusals_total{reason="414"}"#
  case refusal417 = #"sluice_request_refusals_total{reason="417"}"#
  case refusal421 = #"sluice_request_refusals_total{reason="421"}"#
  case refusal429 = #"sluice_request_refusals_total{reason="429"}"#
  case refusal431 = #"sluice_request_refusals_total{reason="431"}"#
  case refusal451 = #"sluice_request_refusals_total{reason="451"}"#
  case refusal501 = #"sluice_request_refusals_total{reason="501"}"#
  case refusal503 = #"sluice_request_refusals_total{reason="503"}"#
  case refusal505 = #"sluice_request_refusals_total{reason="505"}"#
  case refusalOther = #"sluice_request_refusals_total{reason="other"}"#

  case timeoutClientHeader = #"sluice_timeouts_total{side="client_header"}"#
  case timeoutClientIdle = #"sluice_timeouts_total{side="client_idle"}"#
  case timeoutClientBody = #"sluice_timeouts_total{side="client_body"}"#
  case timeoutClientSend = #"sluice_timeouts_total{side="client_send"}"#
  case timeoutUpstreamConnect = #"sluice_timeouts_total{side="upstream_connect"}"#
  case timeoutUpstreamFirstByte = #"sluice_timeouts_total{side="upstream_first_byte"}"#
  case timeoutUpstreamBetweenBytes = #"sluice_timeouts_total{side="upstream_between_bytes"}"#

  case upstreamRequest = "sluice_upstream_requests_total"
  case upstreamConnect = #"sluice_upstream_errors_total{kind="connect"}"#
  case upstreamClosed = #"sluice_upstream_errors_total{kind="closed"}"#
  case upstreamReset = #"sluice_upstream_errors_total{kind="reset"}"#
  case upstreamTimeout = #"sluice_upstream_errors_total{kind="timeout"}"#
  case upstreamMalformed = #"sluice_upstream_errors_total{kind="malformed"}"#
  case upstreamMismatch = #"sluice_upstream_errors_total{kind="mismatch"}"#
  case upstreamIO = #"sluice_upstream_errors_total{kind="io"}"#
  case upstreamExhausted = #"sluice_upstream_errors_total{kind="exhausted"}"#
  case upstreamCorrupt = #"sluice_upstream_errors_total{kind="corrupt"}"#
  case upstreamCancelled = #"sluice_upstream_errors_total{kind="cancelled"}"#
  case upstreamUnavailable = #"sluice_upstream_errors_total{kind="unavailable"}"#
  case upstreamUntrusted = "sluice_upstream_tls_failures_total"
  case upstreamRetry = "sluice_upstream_retries_total"
  case upstreamBudgetSpent = "sluice_upstream_retries_refused_total"
  case upstreamElsewhere = "sluice_upstream_other_region_total"
  case upstreamMiss = "sluice_upstream_content_misses_total"
  case upstreamQueued = "sluice_upstream_queued_total"
  case upstreamResumed = "sluice_upstream_resumed_total"
  case upstreamConnectionOpened = "sluice_upstream_connections_opened_total"

  case fill = "sluice_fills_total"
  case fillReaderJoined = "sluice_fill_readers_joined_total"
  case fillBytes = "sluice_fill_bytes_total"
  case notStoredForeignAnswer = #"sluice_not_stored_total{reason="foreign_answer"}"#
  case notStoredNoLength = #"sluice_not_stored_total{reason="no_length"}"#
  case notStoredSetCookie = #"sluice_not_stored_total{reason="set_cookie"}"#
  case notStoredStatus = #"sluice_not_stored_total{reason="status"}"#
  case notStoredMismatch = #"sluice_not_stored_total{reason="mismatch"}"#
  case notStoredBypass = #"sluice_not_stored_total{reason="bypass"}"#
  case notStoredTruncated = #"sluice_not_stored_total{reason="truncated"}"#
  case notStoredDisk = #"sluice_not_stored_total{reason="disk"}"#
  case notStoredMemory = #"sluice_not_stored_total{reason="memory"}"#
  case notStoredTooLarge = #"sluice_not_stored_total{reason="too_large"}"#
  case notStoredUnchecked = #"sluice_not_stored_total{reason="unchecked"}"#
  case notStoredGenerated = #"sluice_not_stored_total{reason="generated"}"#
  case verifiedBytes = "sluice_verified_bytes_total"
  case absenceAnswerProven = #"sluice_absence_answers_total{reason="absent"}"#
  case absenceAnswerFailing = #"sluice_absence_answers_total{reason="failing"}"#
  case absenceAnswerSite = #"sluice_absence_answers_total{reason="site"}"#
  case absenceProven = #"sluice_absence_proofs_total{outcome="proven"}"#
  case absenceUnproven = #"sluice_absence_proofs_total{outcome="unproven"}"#

  case searchRefused = #"sluice_searches_given_up_total{when="before"}"#
  case searchEnded = #"sluice_searches_given_up_total{when="slow"}"#

  case clientAbort = "sluice_client_aborts_total"
  case loopTurn = "sluice_loop_turns_total"
  case diskWait = "sluice_disk_waits_total"
  case indexFault = "sluice_index_faults_total"
  case sliceCheck = "sluice_cache_slice_checks_total"
  case sliceBad = "sluice_cache_slices_bad_total"

  case requestBytes = "sluice_request_bytes_total"
  case tlsVersion12 = #"sluice_tls_sessions_total{version="1.2"}"#
  case tlsVersion13 = #"sluice_tls_sessions_total{version="1.3"}"#
  case slowRequest = "sluice_slow_requests_total"
  case connectionRefused = #"sluice_connections_limited_total{limit="connections_per_client"}"#
  case connectionTooSlow = #"sluice_connections_limited_total{limit="min_send_rate"}"#
  case bodyBytesCached = #"sluice_content_bytes_total{source="cache"}"#
  case bodyBytesFetched = #"sluice_content_bytes_total{source="upstream"}"#

  /// The place in a page: the order of the cases above.
  @inlinable
  public var index: Int {
    // An enum without payloads and of 2 to 256 cases is one byte that counts them in order (Swift's
    // ABI, "fragile enum layout"); the raw value would be a walk through all the texts.
    unsafe Int(unsafeBitCast(self, to: UInt8.self))
  }
}

// MARK: - From what happened to its counter

extension Counter {
  /// The counter of a request that was refused with this status.
  public static func refusal(status: Int) -> Counter {
    switch status {
    case 400: .refusal400
    case 403: .refusal403
    case 405: .refusal405
    case 408: .refusal408
    case 410: .refusal410
    case 411: .refusal411
    case 413: .refusal413
    case 414: .refusal414
    case 417: .refusal417
    case 421: .refusal421
    case 429: .refusal429
    case 431: .refusal431
    case 451: .refusal451
    case 501: .refusal501
    case 503: .refusal503
    case 505: .refusal505
    default: .refusalOther
    }
  }

  /// The counter of an upstream's fault.
  public static func upstreamError(_ kind: Fault.Kind) -> Counter {
    switch kind {
    case .connect: .upstreamConnect
    case .closed: .upstreamClosed
    case .reset: .upstreamReset
    case .timeout: .upstreamTimeout
    case .malformed: .upstreamMalformed
    case .mismatch: .upstreamMismatch
    case .io: .upstreamIO
    case .exhausted: .upstreamExhausted
    case .corrupt: .upstreamCorrupt
    case .cancelled: .upstreamCancelled
    case .unavailable: .upstreamUnavailable
    }
  }
}
