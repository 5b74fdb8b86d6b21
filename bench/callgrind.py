"""Instructions a hit, counted by valgrind's callgrind.

The server runs twice under callgrind over the same warm objects, with few and with many hits; the
difference between the two counts, divided by the difference in hits, is free of what starting,
warming and ending cost.
"""

import re
import subprocess
import time
from pathlib import Path

import client
import processes
from lines import CONNECTIONS, Failure, Line, expect_clean
from servers import Server

FEW, MANY = 1_000, 4_000


def readable(binary: Path, folder: Path) -> Path:
    """A copy of a program less its debug information, which older valgrinds cannot read (DWARF 5)."""
    copy = folder / f"{binary.name}.stripped"
    subprocess.run(["strip", "--strip-debug", "-o", copy, binary], check=True)
    return copy


def count(line: Line, server: Server, hits: int, out: Path) -> int:
    """All instructions of one run of the server in user mode."""
    out.unlink(missing_ok=True)
    server.patience = 120  # everything is some fifty times slower
    try:
        server.start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        asks = line.asks()[:200]
        expect_clean(server, client.fetch(server.port, asks, CONNECTIONS))
        time.sleep(1)  # what was filled is committed by then
        many = [asks[i % len(asks)] for i in range(hits)]
        expect_clean(server, client.fetch(server.port, many, CONNECTIONS))
        processes.end(server.child, 60)
    finally:
        server.stop()
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise Failure(f"{out} has no totals")
    return int(found[1])


def instructions(line: Line, server: Server, folder: Path) -> float:
    """User-mode instructions for one hit of the line."""
    server.binary = readable(server.binary, folder)
    few = count(line, server, FEW, folder / f"callgrind.{server.name}.few")
    many = count(line, server, MANY, folder / f"callgrind.{server.name}.many")
    return (many - few) / (MANY - FEW)
