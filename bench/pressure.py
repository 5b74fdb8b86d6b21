#!/usr/bin/env python3
"""Measures hot small hits beside a stream of large ones in little memory. See README.md."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import report
import script
from filled import FilledCache, SluiceOn, check_tools, drop_caches
from lines import Failure
from servers import BENCH, REPOSITORY, compiled

HOT = 10_000
SIZE = 1024
LARGE = {"size": 1 << 20, "largest": 8 << 20}
MEAN = (LARGE["size"] + LARGE["largest"]) // 2
GROUP = "sluice-bench"
CONNECTIONS = 8  # of the client that is measured
COUNTED = {
    "disk waits": "sluice_disk_waits_total",
    "major faults of workers": "sluice_worker_major_faults_total",
}


def say(text: str) -> None:
    print(f"pressure: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", type=int, default=1024, help="MiB for Sluice and its pages")
    parser.add_argument("--stream", type=int, default=10, help="GiB of large objects")
    parser.add_argument("--streams", type=int, default=2, help="connections that stream")
    parser.add_argument("--rate", type=int, default=2000, help="hot requests a second")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each kind")
    parser.add_argument("--seconds", type=int, default=8, help="of a round")
    parser.add_argument("--keep", action="store_true", help="leave the cache for the next run")
    parser.add_argument("--quick", action="store_true", help="256 MiB, 2 GiB, 2 rounds; not kept")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".build-bench" / "pressure")
    given = parser.parse_args()
    if given.quick:
        given.memory, given.stream, given.rounds, given.seconds = 256, 2, 2, 4
    return given


class MemoryGroup:
    """A control group with little memory, of either version."""

    def __init__(self, bytes_: int):
        first = Path("/sys/fs/cgroup/memory")
        self.is_first = first.exists()
        self.path = (first if self.is_first else Path("/sys/fs/cgroup")) / GROUP
        self.path.mkdir(exist_ok=True)
        limit = "memory.limit_in_bytes" if self.is_first else "memory.max"
        (self.path / limit).write_text(str(bytes_))

    def wrapper(self) -> tuple[str, ...]:
        """What starts a command inside the group."""
        return ("sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh")

    def remove(self) -> None:
        for _ in range(50):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        say(f"{self.path} cannot be removed")


class Streams:
    """wrk, asking for large objects in random order until it is stopped."""

    def __init__(self, sluice: SluiceOn, objects: int, connections: int, core: int, seconds: int):
        command = ["nice", "-n", "19", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
        command += ["--timeout", "30s", "-s", str(BENCH / "scatter.lua")]
        command += [f"http://127.0.0.1:{sluice.port}", "--", str(sluice.filled.list)]
        command += ["0", str(objects), str(time.monotonic_ns())]
        self.child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    def finish(self) -> float:
        """Bytes a second; every answer was whole."""
        output, _ = self.child.communicate(timeout=120)
        found = re.search(r"^walked (.*)$", output, re.MULTILINE)
        if found is None:
            raise Failure(f"wrk ended with {self.child.returncode}: {output}")
        walked = json.loads(found[1])
        if any(walked[kind] for kind in ("connect", "read", "write", "status", "timeout")):
            raise Failure(f"the stream: {walked}")
        return walked["bytes"] / walked["microseconds"] * 1_000_000


class Pressure:
    """One Sluice in its group, and the rounds on it."""

    def __init__(self, given: argparse.Namespace, sluice: SluiceOn, client: Path, core: int):
        self.given = given
        self.sluice = sluice
        self.client = client
        self.core = core
        self.objects = sluice.filled.options["objects"]

    def hot(self, seed: int, seconds: int) -> dict[str, float]:
        """A round of hot hits at a fixed rate; the client runs before whatever shares its core."""
        command = ["chrt", "-f", "10", self.client, self.sluice.port, self.sluice.filled.added_list]
        command += [HOT, self.given.rate, seconds, CONNECTIONS, seed]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=seconds + 60
        )
        if done.returncode != 0:
            raise Failure(f"latency: {done.stderr}")
        return json.loads(done.stdout)

    def round(self, seed: int, with_stream: bool) -> dict[str, float]:
        seconds = self.given.seconds
        before = self.sluice.metrics()
        if with_stream:
            streams = Streams(
                self.sluice, self.objects, self.given.streams, self.core, seconds + 3
            )
            time.sleep(1.5)
        cpu = self.sluice.cpu()
        found = self.hot(seed, seconds)
        found["cpu"] = (self.sluice.cpu() - cpu).total / 1e9 / seconds
        found["stream"] = streams.finish() if with_stream else 0
        after = self.sluice.metrics()
        for title, name in COUNTED.items():
            found[title] = after[name] - before[name]
        return found


Rounds = dict[bool, list[dict[str, float]]]


def measure(given: argparse.Namespace, filled: FilledCache, client: Path) -> Rounds:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("server and load need a core each, and there is one")
    os.sched_setaffinity(0, {usable[1]})
    rounds: Rounds = {False: [], True: []}
    with ExitStack() as stack:
        group = MemoryGroup(given.memory << 20)
        stack.callback(group.remove)
        # What is in memory already would not count as the group's.
        if not drop_caches():
            raise Failure("the page cache cannot be dropped: run it as root")
        sluice = SluiceOn(filled, usable[0])
        stack.callback(sluice.stop)
        sluice.start(group.wrapper())
        pressure = Pressure(given, sluice, client, usable[1])
        # The first round of each kind brings things into memory and does not count.
        for number in range(given.rounds + 1):
            for with_stream in (False, True):
                # Of seed 0 `latency` asks in the order of its list.
                found = pressure.round(number + 1, with_stream)
                say(f"round {number}, {'with' if with_stream else 'without'}: {found}")
                if number > 0:
                    rounds[with_stream].append(found)
    return rounds


def text(given: argparse.Namespace, rounds: Rounds) -> str:
    def line(title: str, name: str, scale: float = 1) -> list[str]:
        cells = []
        for with_stream in (False, True):
            each = [found[name] / scale for found in rounds[with_stream]]
            low, high = report.figure(min(each)), report.figure(max(each))
            cells.append(f"{report.figure(median(each))} ({low}–{high})")
        return [title, *cells]

    rows = [line(f"{name} µs", name) for name in ("p50", "p90", "p99")]
    rows += [line("p99.9 µs", "p999"), line("longest, ms", "most", 1000)]
    rows += [line("streamed MiB/s", "stream", 1 << 20), line("cores that Sluice used", "cpu")]
    rows += [line(title, title) for title in COUNTED]
    quiet, loud = (median(found["p99"] for found in rounds[kind]) for kind in (False, True))
    return "\n".join(
        [
            "# Hot hits beside a stream",
            "",
            *report.machine("bench/pressure.py"),
            f"- {HOT:,} objects of 1 KiB at {given.rate:,} requests a second over {CONNECTIONS} "
            f"connections; {given.streams} connections stream {given.stream} GiB of objects of 1 to "
            f"8 MiB; {given.memory} MiB of memory for Sluice and the pages of its files; one worker",
            f"- {given.rounds} interleaved rounds of {given.seconds} s, median (smallest–largest)",
            "",
            report.row(["", "hot hits alone", "beside the stream"]),
            report.row(["---", "--:", "--:"]),
            *(report.row(cells) for cells in rows),
            "",
            f"p99 beside the stream is {loud / quiet:.2f} of p99 alone.",
            "",
        ]
    )


def main() -> None:
    given = arguments()
    check_tools("wrk", "cc", "chrt", "nice")
    client = compiled("latency", given.folder)
    objects = (given.stream << 30) // MEAN
    filled = FilledCache(
        given.folder / str(given.stream), (given.stream + 6) << 30, objects=objects, **LARGE
    )
    filled.add(objects=HOT, size=SIZE, seed=2)
    filled.build(say)
    rounds = measure(given, filled, client)
    content = text(given, rounds)
    print(content, end="")
    if not given.quick:
        say(f"kept in {report.save(content, BENCH / 'results', 'pressure')}")
    if not given.keep:
        filled.remove()


if __name__ == "__main__":
    script.run("pressure", main)
