#!/usr/bin/env python3
"""Measures Sluice on caches of millions of objects. See README.md."""

import argparse
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import report
import script
from filled import FilledCache, SluiceOn, check_tools, drop_caches
from lines import CONNECTIONS, Failure
from servers import BENCH, REPOSITORY

SIZE = 1024
SMALL_SET = 10_000
# Of max_size an eighth is the index's, which needs less than 500 bytes for each of these objects.
INDEX_BYTES = 600
EVICTIONS = {"1 KiB": (SIZE, 4 << 30), "8 KiB": (8 << 10, 8 << 30)}


def say(text: str) -> None:
    print(f"scale: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", default="1000000,10000000", help="sizes of the caches")
    parser.add_argument("--starts", type=int, default=10, help="starts of each kind")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of hits")
    parser.add_argument("--keep", action="store_true", help="leave the caches for the next run")
    parser.add_argument("--no-eviction", action="store_true", help="leave out the full caches")
    parser.add_argument("--quick", action="store_true", help="small caches; not kept")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".build-bench" / "scale")
    given = parser.parse_args()
    if given.quick:
        given.objects, given.starts, given.rounds = "50000,200000", 3, 3
    given.objects = [int(number) for number in given.objects.split(",")]
    if min(given.objects) < SMALL_SET or given.starts < 1 or given.rounds < 1:
        parser.error(f"a cache has {SMALL_SET} objects at least, and starts and rounds 1")
    return given


@dataclass
class Scale:
    """What was measured on one cache."""

    filled: FilledCache
    objects: int
    warm: list[float] = field(default_factory=list)  # ms from exec to the first hit
    cold: list[float] = field(default_factory=list)
    private: list[int] = field(default_factory=list)  # bytes after the first hit, after the warm-up
    warm_up: float | None = None  # s from exec until the index has been read through
    cold_warm_up: float | None = None
    small_set: list[tuple[float, float]] = field(default_factory=list)  # CPU µs a hit, hits/s
    whole_set: list[tuple[float, float]] = field(default_factory=list)


def get(port: int, path: str) -> bytes | None:
    """One answer over one connection; None while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            answer = b""
            while data := connection.recv(1 << 16):
                answer += data
            return answer
    except (ConnectionRefusedError, ConnectionResetError):
        return None


def first_hit(sluice: SluiceOn, path: str) -> float:
    """Milliseconds from the start of a process until a cached object has come whole."""
    began = time.monotonic()
    sluice.spawn()
    while (answer := get(sluice.port, path)) is None:
        if sluice.child.poll() is not None or time.monotonic() - began > 60:
            raise Failure(f"sluice does not answer; see {sluice.log}")
        time.sleep(0.001)
    elapsed = (time.monotonic() - began) * 1000
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200") or len(body) != SIZE:
        raise Failure(f"{path}: {head[:60]!r} and {len(body)} bytes")
    if re.search(rb"^cache-status:[^\r]*; hit", head, re.MULTILINE | re.IGNORECASE) is None:
        raise Failure(f"{path}: not a hit: {head!r}")
    return elapsed


def warm_up(sluice: SluiceOn, began: float) -> float:
    """Seconds from `began` until the index has been read through."""
    size = sluice.filled.index.stat().st_size
    while sluice.bytes_read() < size:
        if time.monotonic() - began > 600:
            raise Failure("the index is not read through within ten minutes")
        time.sleep(0.02)
    return time.monotonic() - began


def starts(scale: Scale, core: int, number: int) -> None:
    """Starts Sluice again and again, first on a warm page cache, then on an empty one."""
    chosen = random.Random(1)
    for is_cold in (False, True):
        for _ in range(number):
            (path,) = scale.filled.paths([chosen.randrange(scale.objects)])
            if is_cold and not drop_caches():
                say("no right to drop the page cache: nothing is measured without it")
                return
            sluice = SluiceOn(scale.filled, core)
            try:
                began = time.monotonic()
                elapsed = first_hit(sluice, path)
                (scale.cold if is_cold else scale.warm).append(elapsed)
                before = sluice.private_bytes()
                if is_cold and scale.cold_warm_up is None:
                    scale.cold_warm_up = warm_up(sluice, began)
                elif not is_cold:
                    scale.warm_up = warm_up(sluice, began)
                    scale.private = [before, sluice.private_bytes()]
            finally:
                sluice.stop()
        say(f"{scale.objects} objects, exec to first hit: {scale.cold or scale.warm}")


def scatter(sluice: SluiceOn, objects: int, seed: int, seconds: int) -> tuple[float, float]:
    """One round of hits on the first so many objects, in random order."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(BENCH / "scatter.lua"), f"http://127.0.0.1:{sluice.port}", "--"]
    command += [str(sluice.filled.list), "0", str(objects), str(seed)]
    before = sluice.cpu()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    used = sluice.cpu() - before
    found = re.search(r"^walked (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise Failure(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    walked = json.loads(found[1])
    if walked["requests"] == 0 or any(
        walked[kind] for kind in ("connect", "read", "write", "status", "timeout")
    ):
        raise Failure(f"hits on {objects} objects: {walked}")
    requests = walked["requests"]
    return used.total / requests / 1000, requests / walked["microseconds"] * 1_000_000


def hits(scale: Scale, core: int, rounds: int, seconds: int) -> None:
    """Rounds of hits on a small set and on all objects, one after the other, all in memory."""
    sluice = SluiceOn(scale.filled, core)
    sluice.start()
    try:
        scale.filled.read_through()
        for number in range(rounds + 1):
            small = scatter(sluice, SMALL_SET, number, seconds)
            whole = scatter(sluice, scale.objects, number, seconds)
            if number > 0:
                scale.small_set.append(small)
                scale.whole_set.append(whole)
                say(f"{scale.objects} objects, round {number}: {small[0]:.2f}, {whole[0]:.2f} µs")
        metrics = sluice.metrics()
        if metrics['sluice_requests_total{cache="miss"}'] != 0:
            raise Failure("there were misses")
    finally:
        sluice.stop()


# MARK: The report


def spread(numbers: list[float]) -> str:
    return f"{report.figure(median(numbers))} ({report.figure(max(numbers))})" if numbers else "–"


def mebibytes(count: float) -> str:
    return f"{count / (1 << 20):,.1f} MiB"


def gibibytes(count: float) -> str:
    return f"{count / (1 << 30):,.2f} GiB"


def table(title: str, heads: list[str], rows: list[list[str]]) -> list[str]:
    out = [f"## {title}", "", report.row(["", *heads])]
    out.append(report.row(["---"] + ["--:"] * len(heads)))
    return [*out, *(report.row(cells) for cells in rows), ""]


def fill_rows(all_facts: list[dict[str, float]]) -> list[list[str]]:
    def line(title: str, text) -> list[str]:
        return [title, *(text(facts) for facts in all_facts)]

    return [
        line("objects written a second", lambda f: report.figure(f["puts_per_second"])),
        line("CPU µs an object, all threads", lambda f: report.figure(f["cpu_us_per_put"])),
        line("of it the cache writer's", lambda f: report.figure(f["writer_cpu_us_per_put"])),
        line("objects a commit", lambda f: report.figure(f["objects"] / f["commits"])),
        line("index bytes an object", lambda f: report.figure(f["index_bytes_per_object"])),
        line("index, of its map", lambda f: f"{f['index_used_bytes'] / f['index_map_bytes']:.0%}"),
        line("pages a look-up goes through", lambda f: report.figure(f["index_depth"])),
        line("bytes on the disk", lambda f: gibibytes(f["disk_bytes"])),
        line("private memory while filling", lambda f: mebibytes(f["private_bytes"])),
    ]


def use_rows(scales: list[Scale]) -> list[list[str]]:
    def line(title: str, text) -> list[str]:
        return [title, *(text(scale) for scale in scales)]

    def cpu(rounds: list[tuple[float, float]]) -> str:
        return spread([cpu for cpu, _ in rounds])

    def rate(rounds: list[tuple[float, float]]) -> str:
        return report.figure(median(rate for _, rate in rounds))

    def seconds(number: float | None) -> str:
        return "–" if number is None else report.figure(number)

    return [
        line("exec to first hit, ms (worst)", lambda s: spread(s.warm)),
        line("the same, page cache empty", lambda s: spread(s.cold)),
        line("private memory then", lambda s: mebibytes(s.private[0])),
        line("private memory, index read through", lambda s: mebibytes(s.private[1])),
        line("index read through, s", lambda s: seconds(s.warm_up)),
        line("the same, page cache empty", lambda s: seconds(s.cold_warm_up)),
        line(f"CPU µs a hit on {SMALL_SET:,} (worst)", lambda s: cpu(s.small_set)),
        line("CPU µs a hit on all (worst)", lambda s: cpu(s.whole_set)),
        line(f"hits/s on {SMALL_SET:,}", lambda s: rate(s.small_set)),
        line("hits/s on all", lambda s: rate(s.whole_set)),
    ]


def eviction_rows(facts: list[dict[str, float]]) -> list[list[str]]:
    def line(title: str, name: str) -> list[str]:
        return [title, *(report.figure(each[name]) for each in facts)]

    return [
        ["objects kept when full", *(f"{each['entries']:,.0f}" for each in facts)],
        line("objects written a second", "full_puts_per_second"),
        line("objects deleted a second", "full_keys_deleted_per_second"),
        line("segments evicted", "full_segments_evicted"),
        line("writes refused, an object", "refused_share"),
        line("cache writer's CPU µs an object", "full_writer_cpu_us_per_put"),
    ]


def evictions(folder: Path, quick: bool) -> dict[str, dict[str, float]]:
    """Full caches that go on being written to; gone again afterwards."""
    measured = {}
    for name, (size, max_size) in EVICTIONS.items():
        scaled = max_size // 16 if quick else max_size
        count = 20_000 if quick else 300_000
        filled = FilledCache(folder / f"full-{size}", scaled, objects=0, size=size, evict=count)
        filled.build(say)
        filled.facts["refused_share"] = filled.facts["full_failed_jobs"] / count
        measured[name] = filled.facts
        filled.remove()
    return measured


def text(scales: list[Scale], full: dict[str, dict[str, float]]) -> str:
    names = [f"{scale.objects:,}" for scale in scales]
    out = ["# Caches of millions of objects", ""]
    out += report.machine("bench/scale.py")
    out += ["- objects of 1 KiB; one worker; in brackets the worst of all starts or rounds", ""]
    out += table("Filling", names, fill_rows([scale.filled.facts for scale in scales]))
    out += table("Use", names, use_rows(scales))
    if full:
        out += table("Full, and evicting", list(full), eviction_rows(list(full.values())))
    return "\n".join(out)


def main() -> None:
    given = arguments()
    check_tools("wrk")
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("server and load need a core each, and there is one")
    given.folder.mkdir(parents=True, exist_ok=True)
    scales = []
    for count in given.objects:
        max_size = -(-max(count * 8 * INDEX_BYTES, count * 2 * SIZE) >> 30) << 30
        filled = FilledCache(given.folder / str(count), max_size, objects=count, size=SIZE)
        filled.build(say)
        scale = Scale(filled, count)
        os.sched_setaffinity(0, {usable[1]})
        starts(scale, usable[0], given.starts)
        hits(scale, usable[0], given.rounds, 1 if given.quick else 3)
        os.sched_setaffinity(0, usable)
        scales.append(scale)
        if not given.keep:
            filled.remove()
    full = {} if given.no_eviction else evictions(given.folder, given.quick)
    content = text(scales, full)
    print(content, end="")
    if not given.quick:
        say(f"kept in {report.save(content, BENCH / 'results', 'scale')}")


if __name__ == "__main__":
    script.run("scale", main)
