"""Executes a search again from its journal: exactly, or with a mechanism taken out or put in.

`python -m bilevel replay study=NAME arm=ARM seed=N [without=MECHANISM] [with=FILE.py]`. Exactly:
no model is asked and nothing is trained, and every entry of the journal has to come out the same.
With a change, recorded answers are used wherever the very same question is asked, and whatever
is new goes to the model and the task; the result is a search of its own, in STUDY.replays.
"""

import copy
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from bilevel.config.checks import check
from bilevel.config.command_line import command, console
from bilevel.config.files import CONF
from bilevel.config.options import quoted, split
from bilevel.errors import BadInput
from bilevel.journal import JOURNAL, Recording, read
from bilevel.search.difference import Difference, difference, shown, summary_lines
from bilevel.search.execution import Execution
from bilevel.search.from_journal import Settings, journal_of, replay_exactly, settings_from_journal
from bilevel.search.identity import identify
from bilevel.search.run import search

_USAGE = (
    "python -m bilevel replay study=NAME arm=ARM seed=N [without=MECHANISM] [with=FILE.py] "
    "[fresh=true] [results=DIR] [executor.workers=N llm.base_url=URL task.file=PATH "
    "tracking=none ...]"
)
_OWN = ("study", "arm", "seed", "without", "with", "fresh", "results")


def changed(
    settings: Settings, path: Path, options: dict[str, str], known: Collection[str]
) -> Execution:
    """Executes the search as one of its own, without one of its `known` mechanisms or with another
    one."""
    other = copy.deepcopy(settings)
    names: list[str] = []
    if "without" in options:
        names.append(f"without-{options['without']}")
        if options["without"] not in known:
            had = ", ".join(known) or "none"
            raise BadInput(f"without={options['without']}: this search's mechanisms were: {had}")
        other["without"].append(options["without"])
    if "with" in options:
        file = Path(options["with"])
        names.append(f"with-{file.stem}")
        other["mechanisms"][file.stem] = {
            "_target_": "bilevel.sandbox.load",
            "name": file.stem,
            "source": _text(file),
        }
    other["study"] = f"{settings['study']}.replays"
    other["arm"] = ".".join([settings["arm"], *names])
    other["fresh"] = options.get("fresh", "false") == "true"
    check(other)
    live = search(other, Recording(read(path)))
    if live is not None:
        return live
    folder = identify(other).folder(Path(other["results"]))
    return replay_exactly(other, folder / JOURNAL)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"with={file}: {error}; give a Python file") from None


def replay(arguments: Sequence[str], console: Console) -> Difference | None:
    """Replays a search; returns the execution of a changed one, None for an exact replay. Raises
    BilevelError."""
    options, overrides = split(arguments, _OWN)
    for key in ("study", "arm", "seed"):
        if not options.get(key):
            raise BadInput(f"{key}=... is missing; usage: {_USAGE}")
    results = Path(options.get("results", "mlruns"))
    path = journal_of(results, options["study"], options["arm"], options["seed"])
    settings = settings_from_journal(path, CONF, [*overrides, f"results={quoted(str(results))}"])
    recorded = replay_exactly(settings, path)
    if not recorded.loops or not recorded.loops[0].trace:
        raise BadInput(f"{path} holds no trial yet: run the search first")
    trials = max(0, len(recorded.loops[0].trace) - 1)
    ended = "" if recorded.complete else " (it is unfinished, and stops there)"
    said = f"{recorded.identity.search} is reproduced to the last digit: {trials} trials{ended}"
    if recorded.reworded:
        said += (
            f"; {recorded.reworded} questions were put in other words by the version that ran it: "
            "their answers were found by place"
        )
    console.print(said, markup=False, highlight=False)
    if not {"without", "with"} & set(options):
        return None
    known = [m.name for loop in recorded.loops for m in loop.pipeline.known]
    other = changed(settings, path, options, known)
    folder = other.identity.folder(results)
    found = difference(recorded.loops[0], other.loops[0], read(path), read(folder / JOURNAL))
    console.print(shown(found, recorded.identity.search, other.identity.search))
    for line in summary_lines(found):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    return found


def main(arguments: Sequence[str]) -> int:
    """Prints the result; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> None:
        replay(arguments, console())

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
