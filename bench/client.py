"""A keep-alive client that asks for each of a list of things exactly once and checks what comes.

wrk repeats its list until its time is over; warming and misses need every URL once. It is slow
next to wrk, but it runs on the load core, and what is measured is the server's CPU time.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 1 << 18
HEAD_LIMIT = 16 << 10


@dataclass(frozen=True)
class Ask:
    """A GET, and what must come back."""

    path: str
    length: int
    first: int | None = None  # of a range of `length` bytes
    body: Path | None = None  # the file whose bytes (from `first` on) the answer must have
    mark: str = ""  # what the answer's head must have

    def head(self, port: int) -> bytes:
        lines = [f"GET {self.path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        if self.first is not None:
            lines.append(f"Range: bytes={self.first}-{self.first + self.length - 1}")
        return "\r\n".join([*lines, "", ""]).encode()

    def expected(self) -> bytes:
        with self.body.open("rb") as file:
            file.seek(self.first or 0)
            return file.read(self.length)


@dataclass
class Outcome:
    requests: int = 0
    errors: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # seconds
    seconds: float = 0.0


class Connection:
    """One socket with one request on the way."""

    def __init__(self, port: int):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, ask: Ask) -> None:
        self.current = ask
        self.head = b""
        self.body = bytearray()
        self.received = -1  # body bytes; -1 until the head is whole
        self.began = time.monotonic()
        self.socket.sendall(ask.head(self.port))

    def receive(self) -> bool:
        """Takes what has come; true when the answer is whole, ValueError if it is a wrong one."""
        data = self.socket.recv(CHUNK)
        if not data:
            raise ValueError("closed early")
        if self.received < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                if len(self.head) > HEAD_LIMIT:
                    raise ValueError("head too long")
                return False
            data = self.head[end + 4 :]
            self.check_head(self.head[:end].decode("latin-1"))
            self.received = 0
        self.received += len(data)
        if self.current.body is not None:
            self.body += data
        if self.received < self.current.length:
            return False
        if self.received > self.current.length:
            raise ValueError(f"{self.received} bytes in place of {self.current.length}")
        if self.current.body is not None and self.body != self.current.expected():
            raise ValueError("wrong bytes")
        return True

    def check_head(self, head: str) -> None:
        status, *lines = head.split("\r\n")
        wanted = "200" if self.current.first is None else "206"
        if status.split(" ")[1] != wanted:
            raise ValueError(f"status {status!r} in place of {wanted}")
        if self.current.mark not in head:
            raise ValueError(f"no {self.current.mark!r} in {head!r}")
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        length = fields.get("content-length")
        if length != str(self.current.length):
            raise ValueError(f"Content-Length {length}, not {self.current.length}")


def fetch(port: int, asks: Iterable[Ask], connections: int = 64, seconds: float = 300) -> Outcome:
    """Asks for each once, over at most `connections` connections, for at most `seconds`."""
    waiting = deque(asks)
    outcome = Outcome()
    poll = select.epoll()
    open_connections: dict[int, Connection] = {}
    began = time.monotonic()
    try:
        for _ in range(min(connections, len(waiting))):
            connection = Connection(port)
            open_connections[connection.socket.fileno()] = connection
            poll.register(connection.socket, select.EPOLLIN)
            connection.ask(waiting.popleft())
        while open_connections:
            ready = poll.poll(1)
            for descriptor, _ in ready:
                step(open_connections, descriptor, waiting, outcome)
            if time.monotonic() - began > seconds:
                outcome.errors.append(f"not done after {seconds} s")
                break
            if len(outcome.errors) > 10:
                break
    finally:
        poll.close()
        for connection in open_connections.values():
            connection.socket.close()
    outcome.seconds = time.monotonic() - began
    return outcome


def step(
    open_connections: dict[int, Connection], descriptor: int, waiting: deque[Ask], outcome: Outcome
) -> None:
    """Goes on with one readable connection, which ends with the list or at its first error."""
    connection = open_connections[descriptor]
    try:
        if not connection.receive():
            return
        outcome.latencies.append(time.monotonic() - connection.began)
        outcome.requests += 1
        if waiting:
            connection.ask(waiting.popleft())
            return
    except (ValueError, OSError) as error:
        outcome.errors.append(f"{connection.current.path}: {error}")
    del open_connections[descriptor]
    connection.socket.close()
