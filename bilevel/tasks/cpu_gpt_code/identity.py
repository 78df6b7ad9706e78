"""What a verdict depends on besides the script, the seed and the data, as one hash."""

import hashlib
from pathlib import Path

from bilevel.sandbox import frames
from bilevel.tasks.cpu_gpt import identity

_HERE = Path(__file__).parent
_WALL = (
    *("boot", "confined_process", "frames", "keeper", "places", "processor", "syscalls"),
    *("worker", "worker_handle"),
)


def evaluator_digest() -> str:
    """Return the sha256 over the evaluator of `cpu_gpt`, its script (the reference for pace),
    the files of this package, and those of the sandbox that confine it."""
    wall = Path(frames.__file__).parent
    added = [*sorted(_HERE.glob("*.py")), *(wall / f"{name}.py" for name in _WALL)]
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in added]
    return hashlib.sha256("".join([identity.frozen_digest(), *lines]).encode()).hexdigest()
