"""The measured rounds as tables, and the file that keeps them."""

import os
import platform
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from lines import Line, Sample

# A line's samples by the server's name, in the order of the rounds.
Results = dict[str, list[Sample]]


def figure(number: float) -> str:
    """Three significant digits, without an exponent."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def cpu_median(samples: list[Sample]) -> float:
    return median(sample.cpu for sample in samples)


def best_nginx(results: Results) -> str | None:
    """The name of the nginx with the smaller median."""
    names = [name for name in results if name.startswith("nginx")]
    return min(names, key=lambda name: cpu_median(results[name])) if names else None


def cpu_cell(samples: list[Sample] | None, best: bool) -> str:
    if not samples:
        return "–"
    each = [sample.cpu for sample in samples]
    text = figure(median(each))
    return f"{f'**{text}**' if best else text} ({figure(min(each))}–{figure(max(each))})"


def ratio(results: Results, over: str | None) -> str:
    if over not in results or "Sluice" not in results:
        return "–"
    return f"{cpu_median(results['Sluice']) / cpu_median(results[over]):.2f}"


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cpu_table(measured: list[tuple[Line, Results]]) -> list[str]:
    servers = list(dict.fromkeys(name for _, results in measured for name in results))
    out = [row(["CPU µs a request", *servers, "Sluice / floor", "Sluice / nginx"])]
    out.append(row(["---"] + ["--:"] * (len(servers) + 2)))
    for line, results in measured:
        best = best_nginx(results)
        cells = [cpu_cell(results.get(name), name == best) for name in servers]
        out.append(row([line.title, *cells, ratio(results, "floor"), ratio(results, best)]))
        if line.is_large:
            out.append(row([f"{line.title}, per MiB", *per_mib(line, results, servers), "", ""]))
    return out


def per_mib(line: Line, results: Results, servers: list[str]) -> list[str]:
    share = (1 << 20) / line.group.size
    return [
        figure(cpu_median(results[name]) * share) if name in results else "–" for name in servers
    ]


def limits_table(measured: list[tuple[Line, Results]]) -> list[str]:
    """What limits and a denylist add, beside what the same server adds to itself."""
    out = [row(["CPU over Sluice's", "of the medians", "median of the rounds' (smallest–largest)"])]
    out.append(row(["---", "--:", "--:"]))
    for line, results in measured:
        base = results["Sluice"]
        for name, samples in results.items():
            if samples is base:
                continue
            each = [sample.cpu / other.cpu for sample, other in zip(samples, base)]
            out.append(
                row(
                    [
                        f"{line.title}, {name}",
                        f"{cpu_median(samples) / cpu_median(base):.3f}",
                        f"{median(each):.3f} ({min(each):.3f}–{max(each):.3f})",
                    ]
                )
            )
    return [*out, ""]


def detail_table(measured: list[tuple[Line, Results]]) -> list[str]:
    out = [row(["line", "server", "of it user µs", "requests/s", "p99 ms"])]
    out.append(row(["---", "---", "--:", "--:", "--:"]))
    for line, results in measured:
        for name, samples in results.items():
            # The kernel tells user from system in ticks: too coarse for one round.
            user = sum(sample.cpu * sample.user_share for sample in samples) / len(samples)
            rate = median(sample.rate for sample in samples)
            p99 = median(sample.p99 for sample in samples) / 1000
            out.append(row([line.title, name, figure(user), figure(rate), figure(p99)]))
    return out


def output(*command: str) -> str:
    """What a command prints (nginx and wrk print their versions to stderr, or fail with it)."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    return (done.stdout + done.stderr).strip()


def cpu_model() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def revision() -> str:
    """The short hash of the commit, marked if the work tree differs from it."""
    return output("git", "describe", "--always", "--dirty", "--exclude=*")


def machine(command: str = "bench/run.py") -> list[str]:
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    wrk = output("wrk", "-v").splitlines()[0].split(" [")[0]
    return [
        f"- machine: {cpu_model()}, {os.cpu_count()} CPUs, {memory:.0f} GiB of memory",
        f"- system: {system}, kernel {platform.release()}",
        f"- {output('nginx', '-v')}; {wrk}; {output('cc', '--version').splitlines()[0]}",
        f"- revision: {revision()}, {time.strftime('%Y-%m-%d %H:%M %Z')}",
        f"- command: `{shlex.join([command, *sys.argv[1:]])}`",
    ]


def text(
    measured: list[tuple[Line, Results]], rounds: int, origin: str, has_journal: bool
) -> str:
    warning = "- caches on ext4 without a journal: misses of 16 KiB mean little (see README.md)"
    return "\n".join(
        [
            "# CPU time a request",
            "",
            *machine(),
            *([] if has_journal else [warning]),
            f"- {rounds} interleaved rounds, median (smallest–largest); the better nginx is bold; "
            f"behind the caches: {origin}",
            "",
            *cpu_table(measured),
            "",
            *(limits_table(measured) if any("Sluice again" in each for _, each in measured) else []),
            *detail_table(measured),
            "",
        ]
    )


def save(content: str, folder: Path, kind: str = "") -> Path:
    name = f"{kind}{'-' if kind else ''}{time.strftime('%Y-%m-%d')}-{cpu_model()}-{revision()}"
    path = folder / (re.sub(r"[^A-Za-z0-9.-]+", "-", name) + ".md")
    folder.mkdir(exist_ok=True)
    path.write_text(content)
    return path
