/// The sentence that each family of counters, gauges and histograms is published with.
enum MetricFamily {
  static let help: [(family: String, sentence: String)] = [
    ("sluice_requests_total", "Requests answered, by what the cache had."),
    ("sluice_response_bytes_total", "Bytes of responses sent to clients, heads included."),
    ("sluice_request_body_bytes_total", "Bytes of requests' bodies that were read for a server."),
    ("sluice_connections_accepted_total", "Client connections accepted."),
    (
      "sluice_connections_handed_over_total",
      "Client connections that went on to a worker with fewer."
    ),
    ("sluice_accept_pauses_total", "Times that accepting stopped because nothing was left for it."),
    ("sluice_http2_connections_total", "Client connections that spoke HTTP/2."),
    ("sluice_http2_requests_total", "Requests by HTTP/2."),
    (
      "sluice_http2_floods_total",
      "HTTP/2 connections ended since their client sent too many frames of a kind."
    ),
    (
      "sluice_proxy_header_refusals_total",
      "Connections closed at an address with proxy_protocol, by what was wrong."
    ),
    ("sluice_tls_handshakes_total", "TLS handshakes with clients, by what became of them."),
    ("sluice_request_refusals_total", "Requests refused before they were looked up, by status."),
    ("sluice_timeouts_total", "Deadlines that a peer let pass, by what was awaited."),
    ("sluice_upstream_requests_total", "Requests sent to upstream servers."),
    ("sluice_upstream_errors_total", "Upstream requests that failed, by kind of fault."),
    (
      "sluice_upstream_tls_failures_total",
      "TLS handshakes with servers that failed, most often by their certificate."
    ),
    ("sluice_upstream_retries_total", "Upstream requests that were a further try."),
    (
      "sluice_upstream_retries_refused_total",
      "Further tries that were not made, since a fifth of the requests were such already."
    ),
    (
      "sluice_upstream_other_region_total",
      "Upstream requests to another region than the client's, or to the last resort."
    ),
    (
      "sluice_upstream_content_misses_total",
      "Upstream requests to a server that looked for the content in vain, and is well otherwise."
    ),
    ("sluice_upstream_queued_total", "Requests that waited for a place at a server."),
    (
      "sluice_upstream_resumed_total",
      "Bodies that broke off and went on, from another server or anew from the same one."
    ),
    ("sluice_upstream_connections_opened_total", "Connections opened to upstream servers."),
    ("sluice_fills_total", "Fetches begun to fill the cache."),
    ("sluice_fill_readers_joined_total", "Requests that joined a fetch already running."),
    ("sluice_fill_bytes_total", "Body bytes fetched from upstream servers."),
    ("sluice_not_stored_total", "Answers passed on but not kept, by reason."),
    ("sluice_verified_bytes_total", "Body bytes checked against their CID."),
    (
      "sluice_absence_answers_total",
      "Requests answered from memory since the content is proven absent, or has just failed."
    ),
    (
      "sluice_searches_given_up_total",
      "Requests for content that may have no provider, refused or ended since too many wait."
    ),
    (
      "sluice_absence_proofs_total",
      "CARs asked for to prove that nothing is at a path, by whether they did."
    ),
    ("sluice_content_bytes_total", "Bytes of content sent: of hits, and of misses fetched whole."),
    ("sluice_client_aborts_total", "Responses that a client left before their end."),
    ("sluice_loop_turns_total", "Turns of the event loops."),
    ("sluice_disk_waits_total", "Reads handed to the disk threads because they would block."),
    ("sluice_index_faults_total", "Look-ups that the index could not answer: misses."),
    (
      "sluice_cache_slice_checks_total",
      "Stored slices of 16 KiB and more held against their checksum, at their first use."
    ),
    (
      "sluice_cache_slices_bad_total",
      "Stored slices, small ones included, that were damaged or unreadable and so dropped."
    ),
    ("sluice_request_bytes_total", "Bytes that clients have sent, heads included, TLS left out."),
    ("sluice_tls_sessions_total", "TLS handshakes with clients that went well, by version."),
    ("sluice_slow_requests_total", "Requests that took longer than logs.slow."),
    (
      "sluice_connections_limited_total",
      "Client connections refused or cut off, HTTP/2 streams included, by the limit that did it."
    ),
    ("sluice_client_connections", "Client connections open."),
    ("sluice_exchanges_active", "Requests being answered."),
    ("sluice_fills_active", "Fetches running."),
    ("sluice_upstream_connections", "Connections open to upstream servers, by state."),
    ("sluice_request_duration_seconds", "From a request's head to its response's last byte."),
    ("sluice_first_byte_seconds", "From a request's head to its response's first byte."),
    ("sluice_loop_lag_seconds", "Time that one turn of an event loop took, waiting left out."),
    ("sluice_upstream_connect_seconds", "From asking for a connection to a server to having it."),
    (
      "sluice_upstream_first_byte_seconds",
      "From a request to a server to the first byte of its answer, connecting included."
    ),
    ("sluice_disk_wait_seconds", "How long answers waited for a disk thread."),
  ]
}

/// A series' text (`family{label="value"}`), taken apart.
struct Series {
  let family: Substring
  /// What stands between the braces; empty where there are none.
  let labels: Substring

  init(_ text: String) {
    guard let brace = text.firstIndex(of: "{") else {
      family = text[...]
      labels = ""
      return
    }
    family = text[..<brace]
    labels = text[text.index(after: brace)...].dropLast()
  }
}
