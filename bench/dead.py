#!/usr/bin/env python3
"""Measures hits and misses while half of all requests are for content that nobody has. See README.md."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import data
import report
import script
from lines import Failure
from servers import BENCH, MISS_CACHE, REPOSITORY, SearchingOrigin, Server, Sluice
from servers import compiled, make_certificate

HITS, MISSES = "hit-1k", "miss-16k-raw"
CONNECTIONS = 16
PATIENCE = 60  # seconds: longer than any round, so that clients wait as long as Sluice lets them
SLOW = 5  # seconds after which a search gives way to others, as Sluice has it


def say(text: str) -> None:
    print(f"dead: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=150, help="hits, and misses, a second")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds of each kind")
    parser.add_argument("--seconds", type=int, default=12, help="of a round")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".build-bench")
    return parser.parse_args()


class Silent(Server):
    """Takes requests and never answers."""

    name = "silent"
    is_cache = False

    def command(self) -> list[str | Path]:
        return [sys.executable, BENCH / "dead_load.py", "--silent", str(self.port)]


class Dead:
    """One Sluice before a searching origin, and the rounds on it."""

    def __init__(self, given: argparse.Namespace, stack: ExitStack, client: Path, core: int):
        self.given = given
        self.client = client
        run, plain = given.folder / "run-dead", given.folder / "data" / "plain"
        Server.certificate = make_certificate(run / "tls")
        self.lists = given.folder / "data" / "lists"
        binary = Path(os.environ.get("SLUICE_BIN", REPOSITORY / ".build" / "release" / "sluice"))

        def started(server: Server, wrapper: list[str] | None = None) -> Server:
            server.start(wrapper)
            stack.callback(server.stop)
            return server

        self.silent = started(Silent(run / "silent", core))
        # Before the load's programs, with whom it shares a core: a node is a machine of its own.
        searching = SearchingOrigin(run / "origin", core, plain, self.silent.port)
        self.origin = started(searching, ["chrt", "-f", "9"])
        first = min(os.sched_getaffinity(0))
        self.sluice = started(Sluice(run / "sluice", first, binary, self.origin.port, MISS_CACHE))
        self.list = run / "misses.txt"
        self.misses = iter((self.lists / f"{MISSES}.txt").read_text().splitlines(keepends=True))

    def warm(self) -> None:
        for path in (self.lists / f"{HITS}.txt").read_text().split():
            urllib.request.urlopen(f"http://127.0.0.1:{self.sluice.port}{path}").read()

    def clients(self, rate: int, path: Path, count: int, seed: int) -> subprocess.Popen:
        command = ["chrt", "-f", "10", self.client, self.sluice.port, path, count, rate]
        command += [self.given.seconds, CONNECTIONS, seed]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)

    def dead(self, port: int, rate: int, seconds: int, patience: int) -> subprocess.Popen:
        command = [sys.executable, BENCH / "dead_load.py", port, rate, seconds, patience]
        return subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, text=True
        )

    def round(self, seed: int, with_dead: bool) -> dict[str, float]:
        given = self.given
        count = given.rate * given.seconds
        self.list.write_text("".join(next(self.misses) for _ in range(count)))
        seconds = given.seconds + 8
        # Without them the same load goes past Sluice, so that clients and origin are disturbed alike: to
        # the origin what is new, for as long as Sluice would wait, and the rest to who never answers.
        loads = [(self.sluice.port, 2 * given.rate, PATIENCE)]
        if not with_dead:
            loads = [
                (self.origin.port, given.rate, SLOW),
                (self.silent.port, given.rate, PATIENCE),
            ]
        dead = [self.dead(port, rate, seconds, patience) for port, rate, patience in loads]
        # Until as many searches are slow ones as may be.
        time.sleep(6)
        cpu = self.sluice.cpu()
        hits = self.clients(given.rate, self.lists / f"{HITS}.txt", 10_000, seed + 1)
        misses = self.clients(given.rate, self.list, count, 0)
        found: dict[str, float] = {}
        for name, child in (("hit", hits), ("miss", misses)):
            output, _ = child.communicate(timeout=given.seconds + 60)
            if child.returncode != 0:
                raise Failure(f"the clients of {name}: {output}")
            found |= {f"{name} {key}": value for key, value in json.loads(output).items()}
        found["cpu"] = (self.sluice.cpu() - cpu).total / 1e9 / given.seconds
        seen = [child.communicate(timeout=120)[0].strip() for child in dead]
        say(f"{'with' if with_dead else 'without'}: {found}; dead: {', '.join(seen)}")
        time.sleep(1)
        return found


Rounds = dict[bool, list[dict[str, float]]]


def measure(given: argparse.Namespace, client: Path) -> Rounds:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("server and load need a core each, and there is one")
    rounds: Rounds = {False: [], True: []}
    with ExitStack() as stack:
        dead = Dead(given, stack, client, usable[1])
        os.sched_setaffinity(0, {usable[1]})
        dead.warm()
        for number in range(given.rounds):
            for with_dead in (False, True):
                rounds[with_dead].append(dead.round(number, with_dead))
    return rounds


def text(given: argparse.Namespace, rounds: Rounds) -> str:
    def line(title: str, name: str) -> list[str]:
        cells = []
        for with_dead in (False, True):
            each = [found[name] for found in rounds[with_dead]]
            low, high = report.figure(min(each)), report.figure(max(each))
            cells.append(f"{report.figure(median(each))} ({low}–{high})")
        return [title, *cells]

    rows = [
        line(f"{kind}, {part} µs", f"{kind} {part}")
        for kind in ("hit", "miss")
        for part in ("p50", "p90", "p99")
    ]
    rows.append(line("cores that Sluice used", "cpu"))

    def ratio(kind: str) -> float:
        quiet, loud = (median(found[f"{kind} p99"] for found in rounds[key]) for key in rounds)
        return loud / quiet

    return "\n".join(
        [
            "# Hits and misses beside dead CIDs",
            "",
            *report.machine("bench/dead.py"),
            f"- {given.rate} hits of 1 KiB, {given.rate} misses of 16 KiB and {2 * given.rate} requests "
            "for CIDs that nobody has, a second; of these half are new ones, half of 1,000; the "
            "origin looks for them until its client leaves; one worker, default settings",
            f"- {given.rounds} interleaved rounds of {given.seconds} s, median (smallest–largest); "
            "without dead CIDs the same load goes past Sluice: the new ones to the origin, which "
            f"looks for them for {SLOW} s, the others to who never answers",
            "",
            report.row(["", "without", "with dead CIDs"]),
            report.row(["---", "--:", "--:"]),
            *(report.row(cells) for cells in rows),
            "",
            f"p99 with dead CIDs is {ratio('hit'):.2f} of that without for hits, "
            f"{ratio('miss'):.2f} for misses.",
            "",
        ]
    )


def main() -> None:
    given = arguments()
    for tool in ("nginx", "cc", "chrt"):
        if shutil.which(tool) is None:
            raise Failure(f"{tool} is missing")
    client = compiled("latency", given.folder)
    wanted = [group for group in data.groups(False) if group.name in (HITS, MISSES)]
    data.prepare(given.folder / "data", wanted, say)
    content = text(given, measure(given, client))
    print(content, end="")
    say(f"kept in {report.save(content, BENCH / 'results', 'dead')}")


if __name__ == "__main__":
    script.run("dead", main)
