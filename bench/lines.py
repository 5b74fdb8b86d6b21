"""The table's lines: what is asked for in each, and how one round of it is measured."""

import json
import math
import random
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import client
import handshakes
import processes
from client import Ask
from data import Group
from servers import MISS_CACHE, Server

CONNECTIONS = 64
RANGE = 64 << 10
HEAD_LIMIT = 2 << 10  # no answer's head is longer, so a larger average is a wrong answer
MISSES = 48 << 20  # bytes of one round of small misses
LARGE_MISSES = 192 << 20  # and of large ones, which are so few that each counts
LARGE_CONNECTIONS = 16
MANAGER_PERIOD = 10.5  # s; nginx' cache manager looks every ten
REQUEST_LIMIT = 2_000_000  # a round's bound by count; its time is the bound that counts
WALK = Path(__file__).resolve().parent / "walk.lua"

HTTP2_CONNECTIONS = 8
HTTP2_STREAMS = 10  # of each connection

TITLES = {
    "hit-1k": "hit 1 KiB",
    "hit-16k": "hit 16 KiB",
    "hit-64k": "hit 64 KiB",
    "hit-1m": "hit 1 MiB",
    "tls-1k": "hit 1 KiB by TLS",
    "tls-16k": "hit 16 KiB by TLS",
    "tls-1m": "hit 1 MiB by TLS",
    "range-64k": "range of 64 KiB in 64 MiB",
    "miss-16k": "miss 16 KiB",
    "miss-16k-raw": "miss 16 KiB, checked",
    "miss-8m": "miss 8 MiB",
    "h2-1k": "hit 1 KiB by HTTP/2, TLS",
    "h2-16k": "hit 16 KiB by HTTP/2, TLS",
    "h2-1m": "hit 1 MiB by HTTP/2, TLS",
    "h2c-1k": "hit 1 KiB by HTTP/2, cleartext",
    "h2c-16k": "hit 16 KiB by HTTP/2, cleartext",
    "h2c-1m": "hit 1 MiB by HTTP/2, cleartext",
    "handshake-new": "handshake of TLS 1.3, new",
    "handshake-resumed": "handshake of TLS 1.3, resumed",
    "handshake-new-1.2": "handshake of TLS 1.2, new",
    "handshake-resumed-1.2": "handshake of TLS 1.2, resumed",
}


def group_of(name: str) -> str:
    """The group of objects that a line asks for: by TLS or HTTP/2 they are the same."""
    if name in handshakes.KINDS:
        return "hit-1k"
    return re.sub("^(h2|h2c|tls)-", "hit-", name)


@dataclass(frozen=True)
class Sample:
    """One server's figures of one round."""

    cpu: float  # µs a request
    user_share: float  # of the CPU time
    rate: float  # requests a second
    p99: float  # µs


class Failure(Exception):
    """The load met something that makes its figures worthless."""


class Line:
    """One line of the table over one group of the test set."""

    def __init__(self, name: str, group: Group, data: Path, scratch: Path):
        self.name = name
        self.title = TITLES[name]
        self.handshake = handshakes.KINDS.get(name)
        self.is_secure = name.startswith(("tls-", "h2-")) or self.handshake is not None
        self.is_http2 = name.startswith(("h2-", "h2c-"))
        self.is_miss = name.startswith("miss-")
        self.group = group
        self.plain = data / "plain"
        self.urls = (data / "lists" / f"{group.name}.txt").read_text().split()
        self.list = scratch / f"{name}.requests"
        # How many misses each server has been asked for.
        self.asked: dict[str, int] = {}

    def bodies(self) -> list[tuple[str, Path]]:
        """Each URL with the file that has its bytes."""
        return [(url, self.plain / url.lstrip("/")) for url in self.urls]

    def asks(self) -> list[Ask]:
        """Every distinct request of a hit line, with its bytes to compare."""
        if self.name != "range-64k":
            return [Ask(url, self.group.size, body=body) for url, body in self.bodies()]
        return [
            Ask(url, RANGE, first, body)
            for url, body in self.bodies()
            for first in range(0, self.group.size, RANGE)
        ]

    def warm(self, server: Server) -> None:
        """Asks for every object, then for every request of the line, and compares each byte."""
        whole = [Ask(url, self.group.size, body=body) for url, body in self.bodies()]
        expect_clean(server, client.fetch(server.port, whole, CONNECTIONS))
        processes.settle(server.child.pid)
        expect_clean(server, client.fetch(server.port, self.asks(), CONNECTIONS))

    def write_list(self) -> None:
        with self.list.open("w") as out:
            for ask in self.asks():
                span = "" if ask.first is None else f"\t{ask.first}-{ask.first + ask.length - 1}"
                out.write(f"{ask.path}{span}\n")

    def load(self, server: Server, seed: int, seconds: int) -> dict[str, int]:
        """Loads a server with hits: by wrk, or by h2load, or a connection each."""
        if self.handshake is not None:
            return handshakes.load(self.handshake, server.tls_port, self.urls, seconds)
        if not self.is_http2:
            place = f"http://127.0.0.1:{server.port}"
            if self.is_secure:
                place = f"https://127.0.0.1:{server.tls_port}"
            return walk(place, self.list, seed, seconds)
        place = f"http://127.0.0.1:{server.http2_port}"
        if self.is_secure:
            place = f"https://127.0.0.1:{server.tls_port}"
        order = [place + url for url in self.urls]
        random.Random(seed).shuffle(order)
        uris = self.list.with_suffix(".uris")
        uris.write_text("\n".join(order) + "\n")
        return h2load(uris, seconds)

    def hits(self, server: Server, origin: Server, seed: int, seconds: int) -> Sample:
        """One round of hits."""
        length = self.asks()[0].length
        before, behind = server.cpu(), origin.cpu()
        walked = self.load(server, seed, seconds)
        used, fetched = server.cpu() - before, origin.cpu() - behind
        requests = walked["requests"]
        for kind in ("connect", "read", "write", "status", "timeout"):
            if walked[kind] != 0:
                raise Failure(f"{server.name}: {walked[kind]} {kind} errors in {requests} requests")
        # Answers that the end cut short count in the bytes, at most one a connection.
        cut = HTTP2_CONNECTIONS * HTTP2_STREAMS if self.is_http2 else CONNECTIONS
        most = (requests + cut) * (length + HEAD_LIMIT)
        if requests == 0 or not requests * length <= walked["bytes"] <= most:
            raise Failure(f"{server.name}: {walked['bytes']} bytes in {requests} requests")
        if requests >= REQUEST_LIMIT:
            raise Failure(f"{server.name}: {REQUEST_LIMIT} requests before the time was over")
        if fetched.total > 0.02 * used.total + 5_000_000:
            raise Failure(f"{server.name}: the origin was busy, so these are not all hits")
        return Sample(
            used.total / requests / 1000,
            used.user_share,
            requests / walked["microseconds"] * 1_000_000,
            walked["p99"],
        )

    def misses(self, servers: list[Server]) -> dict[str, Sample]:
        """One round of misses with each server: the next URLs of the circle.

        What a server still has to do when it has answered is in its figure: writing, and evicting
        as much as it was given. They rest together for that.
        """
        before = {server.name: server.cpu() for server in servers}
        outcomes = {server.name: self.ask_misses(server, self.round_bytes) for server in servers}
        time.sleep(MANAGER_PERIOD)
        samples = {}
        for server in servers:
            processes.settle(server.child.pid)
            used = server.cpu() - before[server.name]
            outcome = outcomes[server.name]
            ordered = sorted(outcome.latencies)
            samples[server.name] = Sample(
                used.total / outcome.requests / 1000,
                used.user_share,
                outcome.requests / outcome.seconds,
                ordered[math.ceil(0.99 * len(ordered)) - 1] * 1_000_000,
            )
        return samples

    @property
    def round_bytes(self) -> int:
        return LARGE_MISSES if self.is_large else MISSES

    @property
    def is_large(self) -> bool:
        return self.is_miss and self.group.size >= 1 << 20

    def ask_misses(self, server: Server, size: int) -> client.Outcome:
        """Asks a server for the next objects, so many bytes of them."""
        first = self.asked.get(server.name, 0)
        last = first + size // self.group.size
        self.asked[server.name] = last
        urls = (self.urls[number % len(self.urls)] for number in range(first, last))
        asks = [Ask(url, self.group.size, mark="X-Cache-Status: MISS") for url in urls]
        outcome = client.fetch(
            server.port, asks, LARGE_CONNECTIONS if self.is_large else CONNECTIONS
        )
        expect_clean(server, outcome)
        return outcome

    def overflow(self, server: Server) -> None:
        """Fills a cache over its bound, so that each miss from now on evicts."""
        self.ask_misses(server, MISS_CACHE * 33 // 32)


def expect_clean(server: Server, outcome: client.Outcome) -> None:
    if outcome.errors:
        raise Failure(f"{server.name}: {'; '.join(outcome.errors[:3])}")


def walk(place: str, requests: Path, seed: int, seconds: int) -> dict[str, int]:
    """Runs wrk over the requests in an order of its own for each seed."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(WALK), place, "--"]
    command += [str(requests), str(seed), str(REQUEST_LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    found = re.search(r"^walked (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise Failure(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    return json.loads(found[1])


def h2load(uris: Path, seconds: int) -> dict[str, int]:
    """Runs h2load over the addresses in a file; what it says as `walk` says it.

    Requests that the end cuts short are no failures; how many bytes they had is counted, though.
    """
    command = ["h2load", "-t1", f"-c{HTTP2_CONNECTIONS}", f"-m{HTTP2_STREAMS}", f"-D{seconds}"]
    command += ["--warm-up-time=0", "-w30", "-W30", "-i", str(uris)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    text = done.stdout
    counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    status = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    traffic = re.search(r"\((\d+)\) total, .*\((\d+)\) headers .*\((\d+)\) data", text)
    worst = re.search(r"time for request: +\S+ +(\S+)", text)
    if not (counts and status and traffic and worst):
        raise Failure(f"h2load ended with {done.returncode}: {done.stderr or text}")
    succeeded, failed, errored = map(int, counts.groups())
    bad = sum(int(number) for number in status.groups()[1:])
    return {
        "requests": succeeded,
        "bytes": int(traffic[1]),
        "microseconds": seconds * 1_000_000,
        "p99": in_microseconds(worst[1]),  # the largest: h2load tells no percentiles
        "connect": 0,
        "read": 0,
        "write": 0,
        "status": bad,
        "timeout": failed + errored,
    }


def in_microseconds(text: str) -> int:
    """A time as h2load writes it: 12us, 1.5ms, 2.00s."""
    number = re.match(r"[\d.]+", text)
    if number is None:
        raise Failure(f"no time: {text}")
    units = {"us": 1, "ms": 1000, "s": 1_000_000}
    return round(float(number[0]) * units[text[number.end() :]])
