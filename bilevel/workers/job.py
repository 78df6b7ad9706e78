"""What a worker process is asked to do, and how it ended."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
    "BILEVEL_CACHE",
    "CUDA_VISIBLE_DEVICES",
)
OUTPUT_KEPT_BYTES = 200_000


@dataclass(frozen=True)
class Job:
    """A call of `target` ('module:function', given argv, returns an exit code) in a folder.

    The default target runs argv as a command.
    """

    argv: Sequence[str]
    folder: Path
    limit_s: float
    target: str = "bilevel.workers.server:execute"


@dataclass(frozen=True)
class Finished:
    """How a job ended; `signal` is 0 where it exited by itself. `output` is its last part."""

    exit_code: int
    signal: int
    timed_out: bool
    wall_s: float
    peak_mib: float
    output: str


class Runner(Protocol):
    def run(self, job: Job) -> Finished:
        """Runs to the end or to the limit. Raises TaskError if no job could be run at all."""

    def close(self) -> None: ...


def scrubbed_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The few variables that a worker needs; keys and tokens are not among them."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", **(extra or {})}


def tail(path: Path) -> str:
    """The last part of a job's output."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - OUTPUT_KEPT_BYTES))
        return file.read().decode("utf-8", errors="replace")
