"""Child processes: started on one core, measured through /proc, ended by their ids."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # ns
C = ctypes.CDLL(None)


@dataclass(frozen=True)
class Cpu:
    """CPU time of a process and its descendants since they began, in ns."""

    total: int
    user: int
    system: int

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.total - other.total, self.user - other.user, self.system - other.system)

    @property
    def user_share(self) -> float:
        return self.user / max(1, self.user + self.system)


def family(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu(pid: int) -> Cpu:
    """The family's CPU time: ns from its threads' schedstat, user and system from stat."""
    total = user = system = 0
    for each in family(pid):
        try:
            stat = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            threads = 0
            for path in Path(f"/proc/{each}/task").iterdir():
                threads += int((path / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            continue
        user += int(stat[11]) * TICK
        system += int(stat[12]) * TICK
        # stat counts threads that have ended too, but in ticks: it is larger only if some have.
        total += max(threads, (int(stat[11]) + int(stat[12])) * TICK)
    return Cpu(total, user, system)


def settle(pid: int, seconds: float = 5.0) -> None:
    """Waits until the family has nothing left to do, such as writing what it has answered."""
    time.sleep(0.5)
    end = time.monotonic() + seconds
    before = cpu(pid)
    while time.monotonic() < end:
        time.sleep(0.25)
        now = cpu(pid)
        if (now - before).total < 1_000_000:
            return
        before = now


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, child: subprocess.Popen, seconds: float) -> None:
    """Waits until something listens on the port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args[0]} ended with {child.returncode}; see its log")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{child.args[0]} did not listen within {seconds} s; see its log")


def start(command: list[str], core: int, log: Path) -> subprocess.Popen:
    """Starts a child on one core; it dies with us even if we are killed."""

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        C.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with log.open("ab") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=prepare,
            start_new_session=True,  # Ctrl-C reaches us alone; we end it in order
        )


def end(child: subprocess.Popen, seconds: float = 10.0) -> None:
    """Ends a child, then by their ids what is left of its family."""
    if child.poll() is not None:
        return
    members = family(child.pid)
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        for pid in reversed(members):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        child.wait()
