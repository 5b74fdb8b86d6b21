"""Handshakes of TLS, one after another: each connection asks once for a small object, and ends."""

import itertools
import socket
import ssl
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What is asked of a handshake."""

    version: ssl.TLSVersion
    is_resumed: bool


KINDS = {
    "handshake-new": Kind(ssl.TLSVersion.TLSv1_3, is_resumed=False),
    "handshake-resumed": Kind(ssl.TLSVersion.TLSv1_3, is_resumed=True),
    "handshake-new-1.2": Kind(ssl.TLSVersion.TLSv1_2, is_resumed=False),
    "handshake-resumed-1.2": Kind(ssl.TLSVersion.TLSv1_2, is_resumed=True),
}


def load(kind: Kind, port: int, urls: list[str], seconds: int) -> dict[str, int]:
    """What came within so many seconds, as the loads of other lines tell it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = kind.version
    found = dict.fromkeys(
        ("requests", "bytes", "connect", "read", "write", "status", "timeout"), 0
    )
    times = []
    session = None
    began = time.monotonic()
    for url in itertools.cycle(urls):
        start = time.monotonic()
        if start - began >= seconds:
            break
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as stream,
        ):
            # Without it the client's Nagle waits for an ACK that the server's kernel delays.
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = f"GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            stream.sendall(request.encode())
            answer = b"".join(iter(lambda: stream.recv(1 << 16), b""))
            if kind.is_resumed:
                if session is not None and not stream.session_reused:
                    found["connect"] += 1
                # With 1.3 a ticket is for one use, and comes behind the handshake.
                session = stream.session
        times.append(time.monotonic() - start)
        found["requests"] += 1
        found["bytes"] += len(answer)
        if not answer.startswith(b"HTTP/1.1 200 "):
            found["status"] += 1
    found["microseconds"] = round((time.monotonic() - began) * 1_000_000)
    found["p99"] = round(sorted(times)[len(times) * 99 // 100] * 1_000_000) if times else 0
    return found
