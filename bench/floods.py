#!/usr/bin/env python3
"""Measures legal clients of HTTP/2 beside each flood. See README.md."""

import argparse
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import client
import data
import report
import script
from client import Ask
from lines import Failure
from servers import BENCH, MISS_CACHE, REPOSITORY, Server, Sluice, StandIn
from servers import compiled, make_certificate

HITS, MISSES = "hit-16k", "miss-16k-raw"
CLIENTS, STREAMS = 4, 4  # legal ones, each a program and a connection of its own, so that they ask out of step
HISTOGRAM = "sluice_request_duration_seconds"
EXTRA = 2  # seconds that a flood lasts longer than its round
STALLED = 2.5  # seconds: no legal answer takes so long, and each stalled one does


@dataclass(frozen=True)
class Flood:
    """What a flood is made of, and where the server counts that it has ended one."""

    title: str
    kind: str
    rate: int  # a second
    counter: str
    list: str = HITS

    @property
    def series(self) -> str:
        if self.kind == "stall":
            return self.counter
        return f'sluice_http2_floods_total{{frame="{self.counter}"}}'


FLOODS = [
    Flood("rapid reset of hits", "reset", 5_000, "rst_stream"),
    Flood("rapid reset of misses", "reset", 500, "rst_stream", MISSES),
    Flood("CONTINUATION", "continuation", 10_000, "continuation"),
    Flood("PING", "ping", 20_000, "ping"),
    Flood("SETTINGS", "settings", 20_000, "settings"),
    Flood("empty DATA", "empty_data", 20_000, "empty_data"),
    Flood("WINDOW_UPDATE", "window_update", 20_000, "window_update"),
    Flood("header bombs of 36 MB", "bomb", 200, "headers"),
    Flood("window stalls", "stall", 400, 'sluice_timeouts_total{side="client_send"}', "hit-1m"),
]


def say(text: str) -> None:
    print(f"floods: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, help="legal requests a second")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each kind")
    parser.add_argument("--seconds", type=int, default=5, help="of a round")
    parser.add_argument("--only", default="", help="floods by their kinds: reset,ping")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".build-bench")
    return parser.parse_args()


Buckets = dict[float, float]


def buckets(page: dict[str, float]) -> Buckets:
    """The histogram of hits on a metrics page: for each upper bound in seconds, how many lie below."""
    pattern = re.compile(re.escape(HISTOGRAM) + r'_bucket\{cache="hit",le="(.*)"\}')
    found = ((pattern.fullmatch(name), number) for name, number in page.items())
    return {float(match[1].replace("+Inf", "inf")): number for match, number in found if match}


def quantile(before: Buckets, after: Buckets, share: float) -> float:
    """A quantile in µs of what was observed between two pages, a straight line within its bucket.

    What took as long as stalled streams do is not the legal clients'.
    """
    bounds = sorted(bound for bound in after if bound <= STALLED)
    counts = [after[bound] - before[bound] for bound in bounds]
    wanted = share * counts[-1]
    low, below = 0.0, 0.0
    for bound, count in zip(bounds, counts):
        if count >= wanted > 0:
            return (low + (bound - low) * (wanted - below) / (count - below)) * 1e6
        low, below = bound, count
    raise Failure("nothing was observed")


class Floods:
    """One Sluice, and the rounds on it."""

    def __init__(self, given: argparse.Namespace, stack: ExitStack, flooder: Path, core: int):
        self.given = given
        self.flooder = flooder
        self.run = given.folder / "run-floods"
        plain = given.folder / "data" / "plain"
        self.lists = given.folder / "data" / "lists"
        Server.certificate = make_certificate(self.run / "tls")
        binary = Path(os.environ.get("SLUICE_BIN", REPOSITORY / ".build" / "release" / "sluice"))
        origin = StandIn(self.run / "origin", core, plain)
        first = min(os.sched_getaffinity(0))
        self.sluice = Sluice(self.run / "sluice", first, binary, origin.port, MISS_CACHE)
        # As by default but for stalled streams, which would outlast a round.
        self.sluice.more = f"timeouts: {{ send: {math.ceil(STALLED)}s }}\n"
        for server in (origin, self.sluice):
            server.start()
            stack.callback(server.stop)
        self.urls = (self.lists / f"{HITS}.txt").read_text().split()
        self.uris = self.run / "uris"
        place = f"https://127.0.0.1:{self.sluice.tls_port}"
        self.uris.write_text("".join(f"{place}{url}\n" for url in self.urls))

    def warm(self) -> None:
        for name in (HITS, "hit-1m"):
            urls = (self.lists / f"{name}.txt").read_text().split()
            size = {"hit-16k": 16 << 10, "hit-1m": 1 << 20}[name]
            outcome = client.fetch(self.sluice.port, [Ask(url, size) for url in urls], 16)
            if outcome.errors:
                raise Failure("; ".join(outcome.errors[:3]))

    def legal(self) -> list[int]:
        """Clients that ask at a fixed rate over connections that they keep; how long each answer took, in µs."""
        logs = [self.run / f"requests-{number}" for number in range(CLIENTS)]
        children = []
        for log in logs:
            log.unlink(missing_ok=True)
            command = ["chrt", "-f", "10", "h2load", "-t1", "-c1", f"-m{STREAMS}"]
            command += [f"--rps={self.given.rate / CLIENTS:g}", f"-D{self.given.seconds}"]
            command += ["--warm-up-time=0", f"--log-file={log}", "-i", str(self.uris)]
            children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            time.sleep(random.uniform(0.01, 0.02))
        for child in children:
            output, _ = child.communicate(timeout=self.given.seconds + 60)
            if child.returncode != 0 or ", 0 failed, 0 errored" not in output:
                raise Failure(f"h2load: {output}")
        return sorted(int(line.split()[2]) for log in logs for line in log.open())

    def flood(self, flood: Flood) -> subprocess.Popen:
        paths = self.lists / f"{flood.list}.txt"
        count = len(paths.read_text().split())
        command = [self.flooder, self.sluice.port, flood.kind, flood.rate]
        command += [self.given.seconds + EXTRA, paths, count]
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def round(self, flood: Flood | None) -> dict[str, float]:
        found: dict[str, float] = {}
        start = self.sluice.metrics()
        if flood is not None:
            flooder = self.flood(flood)
            time.sleep(1)
        before, cpu = self.sluice.metrics(), self.sluice.cpu()
        taken = self.legal()
        after, cpu = self.sluice.metrics(), self.sluice.cpu() - cpu
        if flood is not None:
            found |= json.loads(flooder.stdout.readline())
            found["seconds"] = self.given.seconds + EXTRA
            # Those that stand still are ended by then.
            time.sleep(2 * STALLED if flood.kind == "stall" else 0.5)
            found["counted"] = self.sluice.metrics()[flood.series] - start[flood.series]
            flooder.communicate(timeout=60)
            time.sleep(0.5)
        found["requests"] = len(taken)
        found["p99"] = quantile(buckets(before), buckets(after), 0.99)
        found["own p99"] = taken[len(taken) * 99 // 100]
        found["cpu"] = cpu.total / 1e9 / self.given.seconds
        say(f"{'without' if flood is None else flood.title}: {found}")
        return found


Rounds = dict[str, list[dict[str, float]]]


def measure(given: argparse.Namespace, floods: list[Flood], flooder: Path) -> dict[str, Rounds]:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("server and load need a core each, and there is one")
    found: dict[str, Rounds] = {}
    with ExitStack() as stack:
        bench = Floods(given, stack, flooder, usable[1])
        os.sched_setaffinity(0, {usable[1]})
        bench.warm()
        for flood in floods:
            rounds: Rounds = {"without": [], "with": []}
            for _ in range(given.rounds):
                rounds["without"].append(bench.round(None))
                rounds["with"].append(bench.round(flood))
            found[flood.title] = rounds
    return found


def cell(rounds: list[dict[str, float]], name: str) -> str:
    each = [found[name] for found in rounds]
    low, high = report.figure(min(each)), report.figure(max(each))
    return f"{report.figure(median(each))} ({low}–{high})"


def ratio(rounds: Rounds, name: str) -> str:
    quiet, loud = (median(found[name] for found in rounds[key]) for key in ("without", "with"))
    return f"{loud / quiet:.2f}"


def lines(floods: list[Flood], measured: dict[str, Rounds]) -> list[str]:
    titles = ["flood", "a second", "p99 without, µs", "with, µs", "ratio", "its clients' without, µs"]
    titles += ["with, µs", "ratio", "cores without", "with", "ended by the server", "counted"]
    out = [report.row(titles), report.row(["---"] + ["--:"] * (len(titles) - 1))]
    for flood in floods:
        rounds = measured[flood.title]
        quiet, loud = rounds["without"], rounds["with"]
        reached = median(found["frames"] / found["seconds"] for found in loud)
        ended = sum(found["ended"] for found in loud)
        connections = sum(found["connections"] for found in loud)
        cells = [flood.title, f"{reached:,.0f}"]
        for name in ("p99", "own p99"):
            cells += [cell(quiet, name), cell(loud, name), ratio(rounds, name)]
        cells += [report.figure(median(found["cpu"] for found in each)) for each in (quiet, loud)]
        cells += [f"{ended:,.0f} of {connections:,.0f}"]
        cells += [f"{sum(found['counted'] for found in loud):,.0f}"]
        out.append(report.row(cells))
    return out


def text(given: argparse.Namespace, floods: list[Flood], measured: dict[str, Rounds]) -> str:
    return "\n".join(
        [
            "# Legal clients of HTTP/2 beside floods",
            "",
            *report.machine("bench/floods.py"),
            f"- {given.rate} hits of 16 KiB a second by HTTP/2 over TLS, over {CLIENTS} connections; "
            "floods come by HTTP/2 in cleartext and connect anew when they are ended; one worker",
            f"- {given.rounds} interleaved rounds of {given.seconds} s, median (smallest–largest), with "
            "each flood and without; p99 from the differences of the server's histogram of hits, a straight "
            "line within its buckets (50, 100, 250, 500 µs, 1 ms …); its clients' as h2load measures it",
            "",
            *lines(floods, measured),
            "",
        ]
    )


def main() -> None:
    given = arguments()
    for tool in ("nginx", "cc", "chrt", "h2load", "openssl"):
        if shutil.which(tool) is None:
            raise Failure(f"{tool} is missing")
    floods = [flood for flood in FLOODS if not given.only or flood.kind in given.only.split(",")]
    if not floods:
        raise Failure(f"no such flood: {given.only}")
    flooder = compiled("floods", given.folder)
    wanted = [group for group in data.groups(False) if group.name in (HITS, MISSES, "hit-1m")]
    data.prepare(given.folder / "data", wanted, say)
    content = text(given, floods, measure(given, floods, flooder))
    print(content, end="")
    if not given.only:
        say(f"kept in {report.save(content, BENCH / 'results', 'floods')}")


if __name__ == "__main__":
    script.run("floods", main)
