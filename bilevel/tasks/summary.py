"""Reads what a training run printed: its summary block, or how it failed."""

import math
import re
import signal
from collections.abc import Mapping

from bilevel.trace import Failure, FailureKind
from bilevel.workers.job import Finished

LINE = re.compile(r"^\s*([A-Za-z_]\w*):\s+(\S+)\s*$")
NO_MEMORY = ("out of memory", "MemoryError", "can't allocate memory", "Cannot allocate memory")
SHOWN_CHARS = 300


def numbers(output: str) -> dict[str, list[float]]:
    """Every `name: number` line, by name, in order; carriage returns end lines too."""
    found: dict[str, list[float]] = {}
    for line in re.split(r"[\r\n]+", output):
        match = LINE.match(line)
        if match:
            try:
                found.setdefault(match[1], []).append(float(match[2]))
            except ValueError:
                continue
    return found


def last_line(output: str) -> str:
    lines = [line.strip() for line in re.split(r"[\r\n]+", output) if line.strip()]
    return lines[-1][-SHOWN_CHARS:] if lines else "it printed nothing"


def failure(finished: Finished, metric: str, limit_s: float) -> Failure | None:
    """Why a run has no usable value, or None where it has one."""
    if finished.timed_out:
        return Failure(FailureKind.TIMEOUT, f"not done after {limit_s:g} s and stopped")
    return _bad_end(finished) or _bad_metric(finished.output, metric)


def _bad_end(finished: Finished) -> Failure | None:
    said = last_line(finished.output)
    if any(sign in finished.output for sign in NO_MEMORY):
        return Failure(FailureKind.OUT_OF_MEMORY, said)
    if finished.signal == signal.SIGKILL:
        peak = f"at {finished.peak_mib:.0f} MiB"
        return Failure(FailureKind.OUT_OF_MEMORY, f"killed {peak}, probably by the kernel")
    if finished.signal:
        return Failure(FailureKind.CRASH, f"killed by signal {finished.signal}: {said}")
    if finished.exit_code and re.search(r"^FAIL\b", finished.output, re.MULTILINE):
        return Failure(FailureKind.DIVERGENCE, said)
    if finished.exit_code:
        return Failure(FailureKind.CRASH, f"exit code {finished.exit_code}: {said}")
    return None


def _bad_metric(output: str, metric: str) -> Failure | None:
    values = numbers(output).get(metric, [])
    if len(values) != 1:
        found = f"{len(values) or 'no'} lines '{metric}: <number>', expected one"
        return Failure(FailureKind.NO_METRIC, f"{found}; the last line is: {last_line(output)}")
    if not math.isfinite(values[0]):
        return Failure(FailureKind.DIVERGENCE, f"{metric} is {values[0]}")
    return None


def single(values: Mapping[str, list[float]]) -> dict[str, float]:
    """The numbers that were printed once and are finite."""
    return {n: v[0] for n, v in values.items() if len(v) == 1 and math.isfinite(v[0])}
