"""What a verdict depends on besides the script, the seed and the data, as one hash."""

import hashlib
from pathlib import Path

from bilevel.sandbox import frames, worker
from bilevel.tasks.cpu_gpt import identity

HERE = Path(__file__).parent


def evaluator_digest() -> str:
    """sha256 over the evaluator of `cpu_gpt` and everything that is added to it here."""
    added = [*sorted(HERE.glob("*.py")), Path(frames.__file__), Path(worker.__file__)]
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in added]
    return hashlib.sha256("".join([identity.evaluator_digest(), *lines]).encode()).hexdigest()
