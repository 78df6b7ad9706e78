"""Reads what a training run printed: its summary block, or how it failed."""

import math
import re
import signal
from collections.abc import Mapping

from bilevel.errors import ConfigError
from bilevel.trace import Failure, FailureKind
from bilevel.workers.job import LOG_LIMIT_BYTES, Finished

_LINE = re.compile(r"^\s*([A-Za-z_]\w*):\s+(\S+)\s*$")
_GAVE_UP = re.compile(r"^FAIL\b|\sFAIL$")  # the second after a progress line that was not ended
_NO_MEMORY = (
    "out of memory",
    "MemoryError",
    "can't allocate memory",
    "Cannot allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
_NO_DISK = ("No space left on device", "Read-only file system", "Disk quota exceeded")
_KILLED = 128 + signal.SIGKILL  # the exit code of a shell or of uv whose own child was killed
_SHOWN_CHARS = 300


class Metric:
    """How a metric is printed: as a line `name: number`, or where a line matches `pattern`."""

    def __init__(self, name: str, pattern: str | None = None) -> None:
        self.name = name
        self._pattern = None if pattern is None else _compiled(pattern)

    @property
    def expected(self) -> str:
        if self._pattern is None:
            return f"'{self.name}: <number>'"
        return f"that match {self._pattern.pattern!r}"

    def values(self, output: str) -> list[float]:
        """Return every value that was printed, in order."""
        pattern = self._pattern or re.compile(rf"^\s*{re.escape(self.name)}:\s+(\S+)\s*$")
        matches = [match for line in _lines(output) for match in pattern.finditer(line)]
        return [value for match in matches if (value := _number(match[1])) is not None]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"task.metric_pattern={pattern!r} is no regular expression: {error}"
        ) from None
    if compiled.groups != 1:
        raise ConfigError(
            f"task.metric_pattern={pattern!r} has {compiled.groups} groups; expected one, around "
            r"the number, as in 'accuracy = (\S+)'"
        )
    return compiled


def _lines(output: str) -> list[str]:
    """Return the lines of the output, which carriage returns end too."""
    return [line for line in re.split(r"[\r\n]+", output) if line.strip()]


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def numbers(output: str) -> dict[str, list[float]]:
    """Return the values of every `name: number` line, by name, in order."""
    found: dict[str, list[float]] = {}
    for line in _lines(output):
        match = _LINE.match(line)
        if match and (value := _number(match[2])) is not None:
            found.setdefault(match[1], []).append(value)
    return found


def single(values: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the numbers that were printed once and are finite."""
    return {n: v[0] for n, v in values.items() if len(v) == 1 and math.isfinite(v[0])}


def last_line(output: str) -> str:
    lines = _lines(output)
    return lines[-1].strip()[-_SHOWN_CHARS:] if lines else "it printed nothing"


def no_disk(finished: Finished) -> bool:
    """Return whether a run failed because the disk was full or unwritable, which is not the
    script's fault."""
    return bool(finished.exit_code) and any(sign in last_line(finished.output) for sign in _NO_DISK)


def failure(finished: Finished, metric: Metric, limit_s: float) -> Failure | None:
    """Return why a run has no usable value, or None where it has one."""
    if finished.flooded:
        bound = f"{LOG_LIMIT_BYTES // 2**20} MiB"
        return Failure(FailureKind.CRASH, f"stopped after printing more than {bound}: print less")
    if finished.timed_out:
        return Failure(FailureKind.TIMEOUT, f"not done after {limit_s:g} s and stopped")
    return _bad_end(finished) or _bad_metric(finished.output, metric)


def _bad_end(finished: Finished) -> Failure | None:
    if not finished.exit_code and not finished.signal:
        return None
    said = last_line(finished.output)
    if any(sign in finished.output for sign in _NO_MEMORY):
        return Failure(FailureKind.OUT_OF_MEMORY, said)
    if finished.signal == signal.SIGKILL or finished.exit_code == _KILLED:
        return Failure(FailureKind.OUT_OF_MEMORY, "killed, probably by the kernel")
    if finished.signal:
        return Failure(FailureKind.CRASH, f"killed by signal {finished.signal}: {said}")
    if any(_GAVE_UP.search(line.strip()) for line in _lines(finished.output)):
        return Failure(FailureKind.DIVERGENCE, said)
    return Failure(FailureKind.CRASH, f"exit code {finished.exit_code}: {said}")


def _bad_metric(output: str, metric: Metric) -> Failure | None:
    values = metric.values(output)
    if len(values) != 1:
        found = f"{len(values) or 'no'} lines {metric.expected}, expected one"
        return Failure(FailureKind.NO_METRIC, f"{found}; the last line is: {last_line(output)}")
    if not math.isfinite(values[0]):
        return Failure(FailureKind.DIVERGENCE, f"{metric.name} is {values[0]}")
    return None
