"""What it costs to start: `--help` against a bare import of Hydra, in the same run."""

import subprocess
import sys
import time

REPEATS = 7
Row = tuple[str, float, str, str | None]


def fastest_s(*arguments: str) -> float:
    """The least wall time of several fresh interpreters."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return min(taken)


def measure() -> list[Row]:
    help_s, hydra_s = fastest_s("-m", "bilevel", "--help"), fastest_s("-c", "import hydra")
    return [
        ("import hydra", hydra_s * 1000, "ms", None),
        ("python -m bilevel --help", help_s * 1000, "ms", None),
        ("--help / import hydra", help_s / hydra_s, "", "<= 2"),
    ]
