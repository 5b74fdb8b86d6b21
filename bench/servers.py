"""The servers that are measured, and the origin behind them."""

import base64
import hashlib
import os
import resource
import shutil
import subprocess
import urllib.request
from pathlib import Path

import processes

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parent
HIT_CACHE = 8 << 30  # bytes: nothing is evicted
MISS_CACHE = 512 << 20  # bytes: small enough to be filled before the rounds


def descriptors() -> int:
    """How many descriptors a process may have here."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)


def compiled(name: str, folder: Path, *libraries: str) -> Path:
    """The program that a C file of the bench makes, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / name
    source = BENCH / f"{name}.c"
    command = ["cc", "-O2", "-Wall", "-Wextra", "-o", binary, source, *libraries]
    if subprocess.run(command).returncode != 0:
        raise RuntimeError(f"{source.name} does not compile (see README.md for what it needs)")
    return binary


class Server:
    """A child that listens on a loopback port, with a folder of its own that goes with it."""

    name = ""
    is_cache = True  # has an origin, so it can be measured on misses
    patience = 20.0  # seconds to wait for it to listen
    certificate = Path()  # of those that speak TLS: PEM, with the key beside it as .key

    def __init__(self, folder: Path, core: int):
        self.folder = folder
        self.core = core
        self.port = processes.free_port()
        self.http2_port = self.port
        self.tls_port = processes.free_port()
        self.child: subprocess.Popen | None = None

    @property
    def log(self) -> Path:
        return self.folder.with_name(self.folder.name + ".log")

    def command(self) -> list[str | Path]:
        """Prepares the folder and says what to run."""
        raise NotImplementedError

    def start(self, wrapper: list[str] | None = None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.log.unlink(missing_ok=True)
        self.child = processes.start([*(wrapper or []), *self.command()], self.core, self.log)
        processes.wait_for(self.port, self.child, self.patience)

    def stop(self) -> None:
        if self.child is not None:
            processes.end(self.child)
            self.child = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self) -> processes.Cpu:
        return processes.cpu(self.child.pid)


class Floor(Server):
    name = "floor"
    is_cache = False

    def __init__(self, folder: Path, core: int, binary: Path, bodies: list[tuple[str, Path]]):
        super().__init__(folder, core)
        self.binary = binary
        self.bodies = bodies

    def command(self) -> list[str | Path]:
        store = self.folder / "store"
        lines = "".join(f"{url}\t{body}\n" for url, body in self.bodies)
        subprocess.run(
            [self.binary, "load", store], input=lines, text=True, check=True, capture_output=True
        )
        return [self.binary, "serve", store, str(self.port)]


class Nginx(Server):
    """nginx from a filled-in configuration, in a folder of its own."""

    template = ""

    def settings(self) -> dict[str, str]:
        return {}

    def command(self) -> list[str | Path]:
        limit = descriptors()
        settings = {
            # Started as root it would drop to a user who may not enter the folder.
            "USER": "user root;" if os.geteuid() == 0 else "",
            "FOLDER": str(self.folder),
            "PORT": str(self.port),
            "DESCRIPTORS": str(limit),
            "OPEN_FILES": str(max(limit - 1024, 512)),
            **self.settings(),
        }
        text = (BENCH / self.template).read_text()
        for name, value in settings.items():
            text = text.replace(f"@{name}@", value)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(text)
        return ["nginx", "-p", self.folder, "-c", configuration, "-e", self.folder / "error.log"]


class NginxCache(Nginx):
    template = "nginx.conf.in"

    def __init__(self, folder: Path, core: int, origin: int, max_size: int, nopush: bool):
        super().__init__(folder, core)
        self.origin = origin
        self.max_size = max_size
        # This nginx speaks HTTP/1.1 or HTTP/2 at an address.
        self.http2_port = processes.free_port()
        self.nopush = "on" if nopush else "off"
        self.name = f"nginx, tcp_nopush {self.nopush}"

    def settings(self) -> dict[str, str]:
        return {
            "ORIGIN": str(self.origin),
            "HTTP2": str(self.http2_port),
            "NOPUSH": self.nopush,
            "TLS_PORT": str(self.tls_port),
            "CERTIFICATE": str(self.certificate),
            "KEY": str(self.certificate.with_suffix(".key")),
            "MEGABYTES": str(self.max_size >> 20),
        }


class StandIn(Nginx):
    """An origin from nginx and the plain bodies, for as long as or wherever there is no Sluice."""

    template = "origin.conf.in"
    name = "stand-in origin"

    def __init__(self, folder: Path, core: int, plain: Path):
        super().__init__(folder, core)
        self.plain = plain

    def settings(self) -> dict[str, str]:
        return {"PLAIN": str(self.plain), "MISSING": "", "HANG": ""}


class SearchingOrigin(StandIn):
    """The same, but that it looks for what it does not have for as long as anybody waits."""

    name = "searching origin"

    def __init__(self, folder: Path, core: int, plain: Path, silent: int):
        super().__init__(folder, core, plain)
        self.silent = silent  # the port of something that takes requests and never answers

    def settings(self) -> dict[str, str]:
        hang = (
            "location @search { proxy_read_timeout 60s; proxy_ignore_client_abort off; "
            f"proxy_pass http://127.0.0.1:{self.silent}; }}"
        )
        return {**super().settings(), "MISSING": "error_page 404 = @search;", "HANG": hang}


class SluiceOrigin(Server):
    name = "sluice origin"

    def __init__(self, folder: Path, core: int, binary: Path, cars: Path):
        super().__init__(folder, core)
        self.binary = binary
        self.cars = cars

    def command(self) -> list[str | Path]:
        return [self.binary, "origin", "--car", self.cars, "--listen", f"127.0.0.1:{self.port}"]


class Sluice(Server):
    name = "Sluice"

    configuration = """\
workers: 1
listen:
  - address: 127.0.0.1:{port}
  - {{ address: 127.0.0.1:{tls_port}, tls: true }}
tls:
  certificates: [{{ certificate: {certificate}, key: {key} }}]
cache:
  path: {folder}/cache
  max_size: {megabytes}MB
regions:
  local:
    servers: [{{ address: 127.0.0.1:{origin} }}]
admin:
  address: 127.0.0.1:{admin}
logs:
  access: {{ path: "off" }}
"""

    # further sections of gateway.conf
    more = ""

    def __init__(self, folder: Path, core: int, binary: Path, origin: int, max_size: int):
        super().__init__(folder, core)
        self.binary = binary
        self.origin = origin
        self.max_size = max_size
        self.admin_port = processes.free_port()

    def metrics(self) -> dict[str, float]:
        return metrics(self.admin_port)

    def command(self) -> list[str | Path]:
        path = self.folder / "gateway.conf"
        path.write_text(
            self.configuration.format(
                port=self.port,
                tls_port=self.tls_port,
                certificate=self.certificate,
                key=self.certificate.with_suffix(".key"),
                folder=self.folder,
                origin=self.origin,
                megabytes=self.max_size >> 20,
                admin=self.admin_port,
            )
            + self.more
        )
        return [self.binary, "serve", "--config", path]


class SluiceAgain(Sluice):
    """The same once more: how far two of one kind are apart in a run says what a difference is worth."""

    name = "Sluice again"


class LimitedSluice(Sluice):
    """Sluice with three limits for each client, so wide that they refuse nobody, and a denylist that names nothing of
    what is asked for."""

    name = "Sluice-limits"
    configuration = (
        Sluice.configuration
        + """\
limits: {{ connections_per_client: 10000, min_send_rate: 1KB/s }}
rate_limits:
  - {{ name: rate, rate: 1000000/s, burst: 1000000 }}
  - {{ name: bytes, bytes: 1TB/s, burst: 1TB }}
  - {{ name: streams, concurrent: 100000 }}
denylist: {{ files: ["{folder}/list.deny"] }}
"""
    )

    def command(self) -> list[str | Path]:
        # CIDs of version 1 with the codec raw, of texts that no object of the bench has.
        names = (hashlib.sha256(f"denied {number}".encode()).digest() for number in range(10_000))
        rules = (base64.b32encode(b"\x01\x55\x12\x20" + name).decode().lower() for name in names)
        lines = (f"/ipfs/b{rule.rstrip('=')}\n" for rule in rules)
        (self.folder / "list.deny").write_text("".join(lines))
        return super().command()


def metrics(port: int) -> dict[str, float]:
    """The numbers of a Sluice's page, by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(number) for name, _, number in pairs}


def make_certificate(folder: Path) -> Path:
    """A certificate with an ECDSA key, for all servers of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=127.0.0.1"]
    command += ["-out", path, "-keyout", path.with_suffix(".key")]
    subprocess.run(command, check=True, capture_output=True)
    return path
