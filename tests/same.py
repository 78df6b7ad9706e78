"""Searches that two processes have to agree in.

`python -m tests.same FOLDER STUDY` runs those that FOLDER/STUDY.json lists, one after the other;
what they came to is in their journals.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.journal import projection, read

ROOT = Path(__file__).parents[1]
EXTRAS = {"smac"}  # arms whose package is an optional extra of the same name
ARMS = sorted(
    file.stem
    for file in (CONF / "arm").glob("*.yaml")
    if file.stem not in EXTRAS or importlib.util.find_spec(file.stem) is not None
)
TRIALS = 12  # a level that acts every ten has acted once, and what it made was called


def overrides(arm: str, text: Path) -> list[str]:
    """A short search of an arm: on a landscape, or a smaller run of the task that it brings."""
    own, usual = (composed(CONF, made)["task"] for made in ([f"arm={arm}"], []))
    asked = [f"arm={arm}", f"search.trials={TRIALS}", "search.confirm_seeds=1", "tracking=none"]
    if arm.startswith("bilevel_screened"):
        screening = ["candidates=2", "suite=classics", "trials=4", "repeats=1", "workers=1"]
        asked += [f"outer.levels.inventor.screening.{small}" for small in screening]
    if own["name"] == usual["name"]:
        return [*asked, "task=trap"]
    if arm.startswith("discover"):
        suite = ["task.suite=classics", "task.repeats=1", "task.trials=4", "task.workers=1"]
        return [*asked, "search.trials=2", *suite]
    small = ["search.trials=2", "search.confirm_seeds=0", "task.budget_s=0.5"]
    return [*asked, *small, f"task.text={text}", "task.cache=false"]


def run(folder: Path, study: str, searches: Sequence[Sequence[str]]) -> None:
    """In this process and in this order."""
    from bilevel.config.checks import check
    from bilevel.search.run import search
    from bilevel.search.seed_noise import with_measured_noise

    for asked in searches:
        settings = with_measured_noise(
            composed(CONF, [*asked, f"study={study}", f"results={folder}"])
        )
        check(settings)
        search(settings)


def begun(
    folder: Path, study: str, searches: Sequence[Sequence[str]], **environment: str
) -> "subprocess.Popen[bytes]":
    """A fresh process that runs them; what it says is in a file beside them."""
    asked = folder / f"{study}.json"
    asked.write_text(json.dumps([list(search) for search in searches]))
    with log_of(folder, study).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.same", str(folder), study],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **environment},
        )


def log_of(folder: Path, study: str) -> Path:
    return folder / f"{study}.log"


def journals(folder: Path, study: str) -> dict[str, list[Any]]:
    """By search, without times and process ids, and without the study's name."""
    found = {}
    for path in sorted((folder / "searches" / study).glob("*/journal.jsonl")):
        entries = json.dumps([projection(entry) for entry in read(path)])
        found[path.parent.name] = json.loads(entries.replace(f"study={study} ", ""))
    return found


def difference(one: Sequence[Any], other: Sequence[Any]) -> str:
    """The first entry that two journals do not have in common; empty where they are the same."""
    for a, b in zip(one, other, strict=False):
        if a != b:
            texts = json.dumps(a), json.dumps(b)
            at = next((i for i, (x, y) in enumerate(zip(*texts, strict=False)) if x != y), 0)
            shown = [text[max(0, at - 200) : at + 200] for text in texts]
            return f"{a['kind']} {a['key']} / {b['kind']} {b['key']}:\n{shown[0]}\n{shown[1]}"
    return "" if len(one) == len(other) else f"{len(one)} entries, and {len(other)}"


@contextmanager
def busy(processes: int, most_s: int) -> Iterator[None]:
    """So many processes that never stop counting, for as long as the block takes, or `most_s`."""
    loop = f"import resource; resource.setrlimit(0, ({most_s}, {most_s}))\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(processes)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


if __name__ == "__main__":
    place, name = Path(sys.argv[1]), sys.argv[2]
    run(place, name, json.loads((place / f"{name}.json").read_text()))
