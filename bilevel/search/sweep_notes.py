"""Files by which the searches of a sweep leave exit codes and plans for the command."""

import json
import os
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bilevel.visible import visible

if TYPE_CHECKING:
    from bilevel.search.dry_run import Plan

PLACE = "BILEVEL_NOTES"  # names the folder that they are left in


def folder(given: Sequence[str]) -> "tempfile.TemporaryDirectory[str]":
    """For a sweep where its jobs see it too, which may run on other machines of a cluster."""
    here = Path.cwd()
    shared = {"-m", "--multirun"} & set(given) and os.access(here, os.W_OK)
    return tempfile.TemporaryDirectory(prefix=".bilevel-", dir=here if shared else None)


def is_collected() -> bool:
    """Whether a command is there that reads them."""
    place = os.environ.get(PLACE)
    return place is not None and Path(place).is_dir()


def has_own_log() -> bool:
    """Whether what this process prints goes to a log of its own, as submitit's jobs' does."""
    return "SUBMITIT_FOLDER" in os.environ


def write_exit_code(code: int, line: str) -> None:
    """Says how a search ended, here and, where that is somewhere else, to who began the sweep."""
    print(visible(line), file=sys.stderr)
    _write("code", [code, line if has_own_log() else ""])


def write_plan(plan: "Plan") -> None:
    _write("plan", asdict(plan))


def read_exit_codes(place: str) -> set[int]:
    """Of the searches that did not end well; those that ended elsewhere are told."""
    notes: list[list[object]] = _read(place, "code")
    for line in sorted(str(line) for _, line in notes if line):
        print(visible(line), file=sys.stderr)
    return {int(str(code)) for code, _ in notes}


def read_plans(place: str) -> "list[Plan]":
    from bilevel.search.dry_run import Plan

    return [Plan(**one) for one in _read(place, "plan")]


def _write(kind: str, note: object) -> None:
    if is_collected():
        (Path(os.environ[PLACE]) / f"{uuid.uuid4().hex}.{kind}").write_text(json.dumps(note))


def _read(place: str, kind: str) -> list[Any]:
    return [json.loads(note.read_text()) for note in sorted(Path(place).glob(f"*.{kind}"))]
