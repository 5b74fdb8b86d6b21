#!/usr/bin/env python3
"""Measures Sluice against the floor and nginx in interleaved rounds. See README.md."""

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import callgrind
import data
import report
import script
from lines import MANAGER_PERIOD, TITLES, Failure, Line, Sample, group_of
from servers import BENCH, HIT_CACHE, MISS_CACHE, REPOSITORY
from servers import Floor, LimitedSluice, NginxCache, Server, Sluice, SluiceAgain
from servers import SluiceOrigin, StandIn
from servers import compiled, make_certificate

WORK = REPOSITORY / ".build-bench"
LOADER_DONE = 70  # s; nginx reads its cache through a minute after its start
SLUICE = Path(os.environ.get("SLUICE_BIN", REPOSITORY / ".build/release/sluice")).resolve()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small set, 3 rounds; not kept")
    parser.add_argument("--rounds", type=int, help="measured rounds (7; 3 with --quick)")
    parser.add_argument("--only", help=f"some of {','.join(TITLES)}")
    parser.add_argument("--caches", type=Path, metavar="FOLDER", help="where caches are made")
    parser.add_argument("--stand-in", action="store_true", help="an nginx as the origin")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="more of Sluice's settings")
    parser.add_argument("--callgrind", action="store_true", help="count instructions a hit")
    parser.add_argument("--limits", action="store_true", help="Sluice alone: with limits, without, and without again")
    given = parser.parse_args()
    if given.settings:
        Sluice.more = given.settings.read_text()
    given.rounds = given.rounds or (3 if given.quick else 7)
    given.only = given.only.split(",") if given.only else list(TITLES)
    unknown = [name for name in given.only if name not in TITLES]
    if unknown or given.rounds < 1:
        parser.error(f"no such line: {', '.join(unknown)}" if unknown else "no rounds")
    return given


def cores() -> tuple[int, int]:
    """The server's core and the load's."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("server and load need a core each, and there is one")
    return usable[0], usable[1]


def check_tools(given: argparse.Namespace) -> None:
    needed = ["cc", "nginx", "openssl", "wrk", "h2load", *(["valgrind"] if given.callgrind else [])]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian keeps nginx
    os.environ["PATH"] = path
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)} (see README.md)")
    if not SLUICE.exists():
        if not given.stand_in:
            raise Failure(f"no {SLUICE}: build it, set SLUICE_BIN, or give --stand-in")
        say(f"run: no {SLUICE}, so the table is without Sluice")


class Bench:
    """What one run of the bench needs throughout."""

    def __init__(self, given: argparse.Namespace):
        self.given = given
        self.server_core, self.load_core = cores()
        os.sched_setaffinity(0, {self.load_core})
        self.run = WORK / "run"
        self.run.mkdir(parents=True, exist_ok=True)
        self.caches = (given.caches or self.run).resolve()
        self.floor = compiled("floor", WORK, "-llmdb")
        self.data = WORK / ("data-quick" if given.quick else "data")
        wanted = {group_of(name) for name in given.only}
        groups = {group.name: group for group in data.groups(given.quick) if group.name in wanted}
        data.prepare(self.data, list(groups.values()), say)
        names = [name for name in TITLES if name in given.only]
        self.lines = [Line(name, groups[group_of(name)], self.data, self.run) for name in names]
        Server.certificate = make_certificate(self.run / "tls")
        self.origin = self.make_origin()

    def make_origin(self) -> Server:
        folder = self.run / "origin"
        if self.given.stand_in:
            return StandIn(folder, self.load_core, self.data / "plain")
        return SluiceOrigin(folder, self.load_core, SLUICE, self.data / "car")

    def contenders(self, line: Line) -> list[Server]:
        """The line's servers in the order of a round."""
        core = self.server_core
        origin = self.origin.port
        size = MISS_CACHE if line.is_miss else HIT_CACHE
        if self.given.limits:
            kinds = [Sluice, LimitedSluice] + ([] if self.given.callgrind else [SluiceAgain])
            return [
                kind(self.caches / kind.name.lower().replace(" ", "-"), core, SLUICE, origin, size)
                for kind in kinds
            ]
        servers: list[Server] = [
            Floor(self.caches / "floor", core, self.floor, line.bodies()),
            NginxCache(self.caches / "nginx-on", core, origin, size, nopush=True),
            NginxCache(self.caches / "nginx-off", core, origin, size, nopush=False),
        ]
        if SLUICE.exists():
            servers.append(Sluice(self.caches / "sluice", core, SLUICE, origin, size))
        only_caches = line.is_miss or line.is_secure or line.is_http2
        return [server for server in servers if server.is_cache or not only_caches]

    def round(self, line: Line, servers: list[Server], number: int) -> dict[str, Sample]:
        if line.is_miss:
            return line.misses(servers)
        seconds = 1 if self.given.quick else 2
        if self.given.limits:
            # Who comes first meets the machine as the round before left it: each does in its turn.
            first = number % len(servers)
            servers = servers[first:] + servers[:first]
        return {each.name: line.hits(each, self.origin, number, seconds) for each in servers}

    def has_journal(self) -> bool:
        """False where the caches are on ext4 without a journal.

        It steps over each inode deleted in the last six minutes when it makes a file
        (recently_deleted in its ialloc.c), which nginx, whose cache is full of files, pays for.
        """
        device = os.stat(self.caches).st_dev
        disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        journal = Path("/sys/fs/ext4") / disk / "journal_task"
        return not journal.exists() or "none" not in journal.read_text()

    def measure(self, line: Line) -> report.Results:
        """All rounds of one line, with servers that start empty."""
        servers = self.contenders(line)
        results: report.Results = {server.name: [] for server in servers}
        quiet = time.monotonic() + LOADER_DONE
        with ExitStack() as stack:
            for server in servers:
                stack.callback(server.stop)
                server.start()
                if line.is_miss:
                    line.overflow(server)
                else:
                    line.warm(server)
            if line.is_miss:
                time.sleep(max(MANAGER_PERIOD, quiet - time.monotonic()))
            line.write_list()
            # The first round warms code and buffers and does not count.
            for number in range(self.given.rounds + 1):
                for name, sample in self.round(line, servers, number).items():
                    if number > 0:
                        results[name].append(sample)
                        say(f"{line.title}, round {number}, {name}: {sample.cpu:.1f} µs")
        return results

    def count_instructions(self) -> None:
        for line in self.lines:
            for server in self.contenders(line):
                if line.is_miss or isinstance(server, NginxCache):
                    continue
                counted = callgrind.instructions(line, server, self.run)
                print(f"{line.title}, {server.name}: {counted:,.0f} instructions a hit", flush=True)


def main() -> None:
    given = arguments()
    check_tools(given)
    bench = Bench(given)
    with ExitStack() as stack:
        stack.callback(bench.origin.stop)
        bench.origin.start()
        if given.callgrind:
            bench.count_instructions()
            return
        measured = [(line, bench.measure(line)) for line in bench.lines]
        journal = bench.has_journal()
    content = report.text(measured, given.rounds, bench.origin.name, journal)
    print(content, end="")
    if not given.quick and (given.limits or len(given.only) == len(TITLES)):
        kind = "limits" if given.limits else ""
        say(f"run: kept in {report.save(content, BENCH / 'results', kind)}")


if __name__ == "__main__":
    script.run("run", main)
