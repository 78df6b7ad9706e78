"""What a result depends on besides its configuration, as hashes and names for logs and caches."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import torch

_HERE = Path(__file__).parent
_EVALUATOR_SOURCES = (
    "coefficients.py",
    "corpus.py",
    "cost.py",
    "evaluate.py",
    "harness.py",
    "job.py",
    "meter.py",
)
SCRIPT = _HERE / "train.py"
_CPU_FIELDS = ("vendor_id", "cpu family", "model", "model name", "CPU implementer", "CPU part")
_CPU_FLAGS = ("avx", "fma", "amx", "f16c", "asimd", "sve", "neon")


def evaluator_digest() -> str:
    """Return the sha256 over the files of the evaluator, which turn a script, a seed and a
    budget into a value."""
    return _digest([_HERE / name for name in _EVALUATOR_SOURCES])


def frozen_digest() -> str:
    """Return the sha256 over the evaluator and the unedited training script."""
    return _digest([*(_HERE / name for name in _EVALUATOR_SOURCES), SCRIPT])


def _digest(paths: list[Path]) -> str:
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def numerics() -> dict[str, str]:
    """Return the versions and processor features that affect floating-point results: values
    compare exactly only where all are equal."""
    import numpy

    return {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "machine": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        **_processor(),
    }


def _processor() -> dict[str, str]:
    """Return vendor, model and vector features of the first processor, where the system has
    them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return {"processor": platform.processor()}
    first = info.read_text().split("\n\n")[0].splitlines()
    fields = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in first)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    known = {name: fields[name] for name in _CPU_FIELDS if name in fields}
    return known | {"flags": " ".join(sorted(f for f in flags if f.startswith(_CPU_FLAGS)))}
