#!/usr/bin/env python3
"""Measures Sluice against the floor and nginx in interleaved rounds. See README.md."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import callgrind
import data
import report
from lines import TITLES, Failure, Line, Sample
from servers import BENCH, REPOSITORY, Floor, NginxCache, Server, Sluice, SluiceOrigin, StandIn

WORK = REPOSITORY / ".build-bench"
INODE_REST = 365  # s; see Bench.rest
MANY_FILES = 1000  # an order of magnitude below what nginx was seen to suffer from
SLUICE = Path(os.environ.get("SLUICE_BIN", REPOSITORY / ".build/release/sluice")).resolve()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small set, 3 rounds; not kept")
    parser.add_argument("--rounds", type=int, help="measured rounds (7; 3 with --quick)")
    parser.add_argument("--only", help=f"some of {','.join(TITLES)}")
    parser.add_argument("--stand-in", action="store_true", help="an nginx as the origin")
    parser.add_argument("--callgrind", action="store_true", help="count instructions a hit")
    given = parser.parse_args()
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
    needed = ["cc", "nginx", "wrk", *(["valgrind"] if given.callgrind else [])]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian keeps nginx
    os.environ["PATH"] = path
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)} (see README.md)")
    if not SLUICE.exists():
        if not given.stand_in:
            raise Failure(f"no {SLUICE}: build it, set SLUICE_BIN, or give --stand-in")
        say(f"run: no {SLUICE}, so the table is without Sluice")


def build_floor() -> Path:
    binary = WORK / "floor"
    source = BENCH / "floor.c"
    command = ["cc", "-O2", "-Wall", "-Wextra", "-o", binary, source, "-llmdb"]
    if subprocess.run(command).returncode != 0:
        raise Failure("floor.c does not compile (see README.md for what it needs)")
    return binary


class Bench:
    """What one run of the bench needs throughout."""

    def __init__(self, given: argparse.Namespace):
        self.given = given
        self.server_core, self.load_core = cores()
        os.sched_setaffinity(0, {self.load_core})
        self.run = WORK / "run"
        self.run.mkdir(parents=True, exist_ok=True)
        self.floor = build_floor()
        self.data = WORK / ("data-quick" if given.quick else "data")
        made = data.prepare(self.data, given.quick, say)
        names = [name for name in TITLES if name in given.only]
        self.lines = [Line(made[name], self.data, self.run) for name in names]
        self.origin = self.make_origin()
        self.cleared = WORK / "cleared"  # touched whenever many files have been deleted

    def make_origin(self) -> Server:
        folder = self.run / "origin"
        if self.given.stand_in:
            return StandIn(folder, self.load_core, self.data / "plain")
        return SluiceOrigin(folder, self.load_core, SLUICE, self.data / "car")

    def contenders(self, line: Line) -> list[Server]:
        """The line's servers in the order of a round."""
        core = self.server_core
        origin = self.origin.port
        servers: list[Server] = [
            Floor(self.run / "floor", core, self.floor, line.bodies()),
            NginxCache(self.run / "nginx-on", core, origin, nopush=True),
            NginxCache(self.run / "nginx-off", core, origin, nopush=False),
        ]
        if SLUICE.exists():
            servers.append(Sluice(self.run / "sluice", core, SLUICE, origin))
        return [server for server in servers if server.is_cache or not line.is_miss]

    def round(self, line: Line, server: Server, number: int) -> Sample:
        if line.is_miss:
            return line.misses(server, number, self.given.rounds + 1)
        return line.hits(server, self.origin, number, 1 if self.given.quick else 2)

    def rest(self) -> None:
        """Waits until files that an earlier line or run has deleted make new ones no dearer.

        ext4 without a journal steps over each inode deleted in the last six minutes
        (recently_deleted in its ialloc.c). nginx, which makes a file for each object, would pay
        several times over for caches that this bench has cleared away.
        """
        device = os.stat(WORK).st_dev
        disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        journal = Path("/sys/fs/ext4") / disk / "journal_task"
        if not self.cleared.exists() or not journal.exists() or "none" not in journal.read_text():
            return
        wait = self.cleared.stat().st_mtime + INODE_REST - time.time()
        if wait > 0 and not self.given.quick:
            say(f"run: {wait:.0f} s of rest, for ext4 without a journal to forget deleted files")
            time.sleep(wait)

    def measure(self, line: Line) -> report.Results:
        """All rounds of one line, with servers that start empty."""
        servers = self.contenders(line)
        if line.is_miss:
            self.rest()
        results: report.Results = {server.name: [] for server in servers}
        with ExitStack() as stack:
            if line.group.count > MANY_FILES:
                stack.callback(self.cleared.touch)
            for server in servers:
                stack.callback(server.stop)
                server.start()
                if not line.is_miss:
                    line.warm(server)
            line.write_list()
            # The first round warms code and buffers and does not count.
            for number in range(self.given.rounds + 1):
                for server in servers:
                    sample = self.round(line, server, number)
                    if number > 0:
                        results[server.name].append(sample)
                        say(f"{line.title}, round {number}, {server.name}: {sample.cpu:.1f} µs")
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
        # Misses first, fewest files first: what a line clears away would cost the next one.
        order = sorted(bench.lines, key=lambda line: (not line.is_miss, line.group.count))
        results = {line.name: bench.measure(line) for line in order}
    measured = [(line, results[line.name]) for line in bench.lines]
    content = report.text(measured, given.rounds, bench.origin.name)
    print(content, end="")
    if not given.quick and len(given.only) == len(TITLES):
        say(f"run: kept in {report.save(content, BENCH / 'results')}")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        main()
    except (Failure, RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"run: {error}")
    except KeyboardInterrupt:
        sys.exit("run: interrupted")
