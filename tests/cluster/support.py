"""The platform's commands as a user of a cluster types them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bilevel.journal import projection, read

ROOT = Path(__file__).parents[2]
SEARCH = ("arm=level1", "task=trap", "search.trials=4", "search.confirm_seeds=0")


def bilevel(
    folder: Path,
    *arguments: str,
    module: str = "bilevel",
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def journal(folder: Path, search: str) -> list[Any]:
    """The journal of a search of study `s`, without times and process ids."""
    path = folder / "mlruns" / "searches" / "s" / search / "journal.jsonl"
    return [projection(entry) for entry in read(path)]


TRAINING = """\
import os, sys, time
RATE = 0.5
WIDTH = 8
begun, quick = sys.argv[1:]
if RATE != 0.5 or WIDTH != 8:
    open(begun, "a").write(f"{os.getpid()}\\n")
    while not os.path.exists(quick):
        time.sleep(0.1)
print("val_bpb:", (RATE - 0.25) ** 2 + WIDTH / 100)
"""


def training(folder: Path) -> list[str]:
    """A task whose runs, but the baseline's, take for ever until there is a file `quick`."""
    (folder / "fit.py").write_text(TRAINING)
    return [
        *("task=script", f"task.file={folder}/fit.py", "task.metric=val_bpb", "arm=random"),
        f"task.command=['{{python}}','{{script}}','{folder}/begun','{folder}/quick']",
        "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}",
        "+task.parameters.WIDTH={type: int, low: 1, high: 64}",
        *("search.trials=3", "search.confirm_seeds=0", "tracking=none", "task.cache=false"),
    ]


def until(what: Callable[[], object], within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def outcomes(folder: Path) -> list[Any]:
    found = folder / "mlruns/searches/s/random-seed1/journal.jsonl"
    if not found.exists():
        return []
    return [e["data"] for e in journal(folder, "random-seed1") if e["kind"] == "outcome"]
