"""How a bench of its own begins and ends."""

import signal
import subprocess
import sys
from typing import Callable

from lines import Failure


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def run(name: str, main: Callable[[], None]) -> None:
    """Runs `main`; whatever ends it, what it has started is ended in order, and one line says why."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        main()
    except (Failure, RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted")
