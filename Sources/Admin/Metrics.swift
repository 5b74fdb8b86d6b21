internal import Cache
internal import Gateway
internal import Synchronization
internal import System
internal import TLS
internal import Telemetry
internal import Upstreams

/// The numbers that no worker's page holds: of the cache, the upstreams and the process.
enum Metrics {
  static func values(of subject: AdminSubject) -> [MetricValue] {
    var values = cache(subject.gateway.storage)
    values.append(
      MetricValue(
        "sluice_fills_in_flight", .gauge, help: "Objects being fetched, joined or committed.",
        .integer(subject.gateway.fills.count)))
    values += memory(subject.gateway.memory)
    values.append(
      MetricValue(
        "sluice_worker_major_faults_total", .counter,
        help: "Times that a worker waited for the disk at a page of the index or of the program.",
        .integer(ThreadFaults.major(ofThreads: "worker-"))))
    values += upstreams(subject.gateway.upstreams)
    values += subject.certificates.map(certificates) ?? []
    values += subject.gateway.options.denials.map(denylist) ?? []
    values += subject.accessLog?.metrics ?? []
    values += RequestMetrics.values(of: subject.pages, regions: subject.regions)
    values += process()
    values += limits(subject.gateway)
    values += admin(subject.counters)
    values.append(
      MetricValue(
        "sluice_build_info", .gauge, help: "1, labelled with the version that runs.",
        labels: [MetricValue.Label("version", subject.version)], .integer(1)))
    return values
  }

  private static func cache(_ storage: DiskStorage) -> [MetricValue] {
    let now = storage.counters.snapshot
    return [
      MetricValue(
        "sluice_cache_open", .gauge,
        help: "1 while the cache is in use, 0 while its disk or index keeps it from that.",
        .integer(now.isOpen ? 1 : 0)),
      MetricValue(
        "sluice_cache_bytes", .gauge, help: "Bytes of the cache on disk, its index included.",
        .integer(now.bytesUsed)),
      MetricValue(
        "sluice_cache_max_bytes", .gauge, help: "The most that the cache may take (max_size).",
        .integer(storage.options.maxSize)),
      MetricValue(
        "sluice_cache_entries", .gauge, help: "Objects in the index.", .integer(now.entries)),
      MetricValue(
        "sluice_cache_segments", .gauge, help: "Segment files.", .integer(now.segments)),
      MetricValue(
        "sluice_cache_evictions_total", .counter, help: "Segments evicted.",
        .integer(now.evictions)),
      MetricValue(
        "sluice_cache_moved_slices_total", .counter,
        help: "Slices that outlived their segment since they had been hit.",
        .integer(now.movedSlices)),
      MetricValue(
        "sluice_cache_forgotten_keys_total", .counter,
        help: "Names of evicted content taken out of the index.", .integer(now.forgottenKeys)),
      MetricValue(
        "sluice_cache_erased_bytes_total", .counter,
        help: "Bytes taken off the disk by removals.", .integer(now.erasedBytes)),
      MetricValue(
        "sluice_cache_oldest_segment_timestamp_seconds", .gauge,
        help: "When the oldest content in the cache was fetched; 0 for an empty cache.",
        .integer(now.oldestSegment)),
      MetricValue(
        "sluice_cache_reopenings_total", .counter,
        help: "Times that the cache was opened anew, since its index broke or its folder went.",
        .integer(now.reopenings)),
      MetricValue(
        "sluice_cache_commit_sequence", .gauge,
        help: "Commits of the index; what had been written when it rose survives a crash.",
        .integer(Int(truncatingIfNeeded: now.sequence))),
      MetricValue(
        "sluice_cache_write_faults_total", .counter, help: "Writes that the disk refused.",
        .integer(now.writeFaults)),
      MetricValue(
        "sluice_cache_refused_jobs_total", .counter,
        help: "Slices and records that were not kept because of such a fault.",
        .integer(now.refusals)),
      MetricValue(
        "sluice_cache_queued_bytes", .gauge, help: "Bytes waiting for the cache writer.",
        .integer(now.queuedBytes)),
    ]
  }

  private static func memory(_ budget: SliceBudget) -> [MetricValue] {
    let parts = [
      ("kept", budget.bytes(.kept)), ("passed", budget.bytes(.passed)),
      ("idle", SliceBudget.idleBytes),
    ]
    return parts.map { use, bytes in
      MetricValue(
        "sluice_slice_memory_bytes", .gauge,
        help: "Memory of slices: on their way to the disk, passed on, or ready for the next ones.",
        labels: [MetricValue.Label("use", use)], .integer(bytes))
    }
  }

  /// What Prometheus' client libraries tell of every process, under the names that they have there.
  private static func process() -> [MetricValue] {
    guard let now = ProcessStatistics() else { return [] }
    return [
      MetricValue(
        "process_cpu_seconds_total", .counter, help: "Total user and system CPU time spent.",
        .real(now.cpuSeconds)),
      MetricValue(
        "process_resident_memory_bytes", .gauge, help: "Resident memory size.",
        .integer(now.residentBytes)),
      MetricValue(
        "process_virtual_memory_bytes", .gauge, help: "Virtual memory size.",
        .integer(now.virtualBytes)),
      MetricValue(
        "process_open_fds", .gauge, help: "Number of open file descriptors.",
        .integer(now.openDescriptors)),
      MetricValue(
        "process_max_fds", .gauge, help: "Maximum number of open file descriptors.",
        .integer(now.mostDescriptors)),
      MetricValue(
        "process_start_time_seconds", .gauge,
        help: "Start time of the process since unix epoch in seconds.",
        .real(ProcessStatistics.startSeconds)),
    ]
  }

  private static func certificates(_ store: CertificateStore) -> [MetricValue] {
    [("used", store.swaps), ("unusable", store.failures)].map { outcome, count in
      MetricValue(
        "sluice_tls_certificate_changes_total", .counter,
        help: "Changes of certificate files, by whether they could be used.",
        labels: [MetricValue.Label("outcome", outcome)], .integer(count))
    } + [
      MetricValue(
        "sluice_tls_staples_expired", .gauge,
        help: "OCSP answers whose time has passed, so that they are not stapled.",
        .integer(store.endedStaples))
    ]
  }

  private static func denylist(_ denials: Denials) -> [MetricValue] {
    let files = denials.files.map { (labels: [MetricValue.Label("file", $0.path)], file: $0) }
    let refusals = zip(files, denials.refusals).flatMap { file, count in
      [("410", count.gone), ("451", count.legal)].map { status, count in
        MetricValue(
          "sluice_denied_requests_total", .counter,
          help: "Requests refused by a denylist, by its file and the refusal's status.",
          labels: file.labels + [MetricValue.Label("status", status)], .integer(count))
      }
    }
    return files.flatMap { labels, file in
      [
        MetricValue(
          "sluice_denylist_rules", .gauge, help: "Rules read from a denylist.", labels: labels,
          .integer(file.rules)),
        MetricValue(
          "sluice_denylist_invalid_lines", .gauge, help: "Lines of a denylist that are no rules.",
          labels: labels, .integer(file.invalidLines)),
        MetricValue(
          "sluice_denylist_memory_bytes", .gauge, help: "Memory that a denylist's rules take.",
          labels: labels, .integer(file.bytes)),
        MetricValue(
          "sluice_denylist_up", .gauge,
          help: "1, or 0 while a denylist cannot be read and its last rules stay.",
          labels: labels, .integer(file.isUsable ? 1 : 0)),
      ]
    } + refusals + [
      MetricValue(
        "sluice_denied_answers_cut_total", .counter,
        help: "Answers broken off since a rule came for what they gave.",
        .integer(denials.cutAnswers)),
      MetricValue(
        "sluice_denylist_generation", .gauge,
        help: "The number of the list in use: one more with each change.",
        .integer(Int(clamping: denials.generation))),
    ]
  }

  private static func admin(_ counters: AdminCounters) -> [MetricValue] {
    [
      MetricValue(
        "sluice_admin_refusals_total", .counter,
        help:
          "Requests to the admin address that were refused: by network, token, host or as a page's.",
        .integer(counters.refusals.load(ordering: .relaxed))),
      MetricValue(
        "sluice_admin_changes_total", .counter, help: "Purges, drains and undrains that were made.",
        .integer(counters.changes.load(ordering: .relaxed))),
    ]
  }

  private static func upstreams(_ map: UpstreamMap) -> [MetricValue] {
    let now = Clock.now
    return map.regions.flatMap { region in
      region.servers.flatMap { server in
        let labels = [
          MetricValue.Label("region", region.name), MetricValue.Label("server", server.label),
        ]
        return [
          MetricValue(
            "sluice_upstream_server_up", .gauge,
            help: "1, or 0 while a server is taken for down.", labels: labels,
            .integer(server.isDown(at: now) ? 0 : 1)),
          MetricValue(
            "sluice_upstream_server_drained", .gauge,
            help: "1 while an operator has a server get no new requests.", labels: labels,
            .integer(server.isDrained ? 1 : 0)),
          MetricValue(
            "sluice_upstream_server_active", .gauge, help: "Requests under way at a server.",
            labels: labels, .integer(server.active)),
          MetricValue(
            "sluice_upstream_server_waiting", .gauge,
            help: "Requests that wait for a place at a server (max_connections).",
            labels: labels, .integer(server.waitingCount)),
          MetricValue(
            "sluice_upstream_server_requests_total", .counter,
            help: "Requests sent to a server.", labels: labels, .integer(server.requests)),
          MetricValue(
            "sluice_upstream_server_errors_total", .counter,
            help: "Requests that failed by a server's fault.", labels: labels,
            .integer(server.errors)),
          MetricValue(
            "sluice_upstream_server_retries_total", .counter,
            help: "Requests sent to a server since another one could not answer.",
            labels: labels, .integer(server.retries)),
          MetricValue(
            "sluice_upstream_server_resumed_total", .counter,
            help: "Bodies that broke off elsewhere and went on from a server.",
            labels: labels, .integer(server.resumed)),
        ]
      }
    }
  }
}
