"""Large caches that CacheFill has built, and a Sluice on one of them."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import processes
from lines import Failure
from servers import REPOSITORY, metrics

SLUICE = Path(os.environ.get("SLUICE_BIN", REPOSITORY / ".build/release/sluice")).resolve()
FILL = Path(os.environ.get("FILL_BIN", REPOSITORY / ".build/release/CacheFill")).resolve()

CONFIGURATION = """\
workers: {workers}
listen:
  - address: 127.0.0.1:{port}
cache:
  path: {cache}
  max_size: {megabytes}MB
regions:
  nowhere:
    servers: [{{ address: 127.0.0.1:9 }}]
admin:
  address: 127.0.0.1:{admin}
logs:
  access: {{ path: "off" }}
"""


def check_tools(*tools: str) -> None:
    """Ends the run where something is missing that only another command can make."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)} (see README.md)")
    for binary in (SLUICE, FILL):
        if not binary.exists():
            raise Failure(f"no {binary}: swift build -c release --product {binary.name}")


class FilledCache:
    """A cache in a folder of its own, built once, with the list of its paths and what it cost.

    Objects of a second kind may be added to it, with a list of their own.
    """

    def __init__(self, folder: Path, max_size: int, **options: int):
        self.folder = folder
        self.max_size = max_size
        self.options = options
        self.added: dict[str, int] = {}
        self.cache = folder / "cache"
        self.list = folder / "list"
        self.added_list = folder / "added"
        self.facts: dict[str, float] = {}

    def add(self, **options: int) -> None:
        """Objects that are written after the others; to be said before `build`."""
        self.added = options

    def build(self, say) -> None:
        """Builds it, unless a run before this one has left it whole."""
        kept = self.folder / "facts.json"
        wanted = {"max_size": self.max_size, **self.options}
        if self.added:
            wanted["added"] = self.added
        if kept.exists():
            self.facts = json.loads(kept.read_text())
            if self.facts["wanted"] == wanted:
                return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        say(f"building {self.folder.name}")
        facts = self.fill(self.list, self.options)
        if self.added:
            self.fill(self.added_list, self.added)
        self.facts = facts | {"wanted": wanted, "disk_bytes": self.disk_bytes()}
        kept.write_text(json.dumps(self.facts))

    def fill(self, paths: Path, options: dict[str, int]) -> dict[str, float]:
        command = [FILL, "--path", self.cache, "--list", paths, "--max-size", self.max_size]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", value]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failure(f"CacheFill ended with {done.returncode}")
        return json.loads(done.stdout)

    def disk_bytes(self) -> int:
        files = (path for path in self.cache.rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files)

    @property
    def index(self) -> Path:
        return self.cache / "index" / "data.mdb"

    def paths(self, numbers: list[int]) -> list[str]:
        """The paths of some objects, by their numbers in the order of writing."""
        with self.list.open("rb") as file:
            width = len(file.readline())
            found = []
            for number in numbers:
                file.seek(number * width)
                found.append(file.read(width - 1).decode())
            return found

    def read_through(self) -> None:
        """Brings index and segments into the page cache, as far as they fit."""
        for path in [*sorted((self.cache / "segments").iterdir()), self.index]:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class SluiceOn:
    """A Sluice on a filled cache, which has no upstream: what is not a hit is an error."""

    def __init__(self, filled: FilledCache, core: int, workers: int = 1):
        self.filled = filled
        self.core = core
        self.port = processes.free_port()
        self.admin = processes.free_port()
        self.log = filled.folder / "sluice.log"
        self.settings = filled.folder / "gateway.conf"
        self.settings.write_text(
            CONFIGURATION.format(
                workers=workers,
                port=self.port,
                cache=filled.cache,
                megabytes=filled.max_size >> 20,
                admin=self.admin,
            )
        )
        self.child: subprocess.Popen | None = None

    def spawn(self, wrapper: tuple[str, ...] = ()) -> None:
        """Starts it, and does not wait."""
        command = [*wrapper, SLUICE, "serve", "--config", self.settings]
        self.child = processes.start(command, self.core, self.log)

    def start(self, wrapper: tuple[str, ...] = ()) -> None:
        self.spawn(wrapper)
        processes.wait_for(self.port, self.child, 20)

    def stop(self) -> None:
        if self.child is not None:
            processes.end(self.child, 60)
            self.child = None

    def private_bytes(self) -> int:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s*(\d+) kB$", status, re.MULTILINE)[1]) << 10

    def bytes_read(self) -> int:
        """What it has read from files, from memory or from the disk."""
        text = Path(f"/proc/{self.child.pid}/io").read_text()
        return int(re.search(r"^rchar: (\d+)$", text, re.MULTILINE)[1])

    def cpu(self) -> processes.Cpu:
        return processes.cpu(self.child.pid)

    def metrics(self) -> dict[str, float]:
        return metrics(self.admin)


def drop_caches() -> bool:
    """Empties the page cache; False without the right to."""
    subprocess.run(["sync"], check=True)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        return False
    time.sleep(0.5)
    return True
