"""The platform's commands as a user of a cluster types them."""

import os
import subprocess
import sys
from collections.abc import Mapping
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
