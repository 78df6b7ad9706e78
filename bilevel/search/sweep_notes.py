"""Files by which the searches of a sweep pass exit codes and plans to the command that began it."""

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
    """Makes the folder for the notes; that of a sweep is in the working directory, where jobs on
    other machines of a cluster see it too."""
    here = Path.cwd()
    shared = {"-m", "--multirun"} & set(given) and os.access(here, os.W_OK)
    return tempfile.TemporaryDirectory(prefix=".bilevel-", dir=here if shared else None)


def is_collected() -> bool:
    """Returns whether a command is waiting for the notes."""
    place = os.environ.get(PLACE)
    return place is not None and Path(place).is_dir()


def has_own_log() -> bool:
    """Returns whether this process prints to a log of its own, as the jobs of submitit do."""
    return "SUBMITIT_FOLDER" in os.environ


def write_exit_code(code: int, line: str) -> None:
    """Prints how a search ended and notes its exit code, with the line where this process has its
    own log."""
    print(visible(line), file=sys.stderr)
    _write("code", [code, line if has_own_log() else ""])


def write_plan(plan: "Plan") -> None:
    _write("plan", asdict(plan))


def read_exit_codes(place: str) -> set[int]:
    """Returns the exit codes of the searches that failed, and prints the lines of those with a log
    of their own."""
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
