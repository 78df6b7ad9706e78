"""Writes searches that were run untracked, or lost their store, into it from their journals.

`python -m bilevel sync [study=NAME] [results=DIR] [processes=N] [tracking.uri=URI ...]`. Every
search is executed again from its journal alone, and the store is told of it in few requests; what
it holds already is left as it is. A search that has not ended is written as far as it got.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hydra.utils import instantiate
from joblib import Parallel, delayed
from tqdm import tqdm

from bilevel.config.command_line import command
from bilevel.config.files import CONF
from bilevel.config.options import quoted, split, whole
from bilevel.config.overrides import REPORTED, reported_as
from bilevel.errors import BadInput, ConfigError, TrackingError
from bilevel.journal import JOURNAL, locked
from bilevel.search.from_journal import Settings, replay_exactly, settings_from_journal
from bilevel.tracking import Tracker
from bilevel.tracking.finished import is_tracked, mark_tracked
from bilevel.visible import visible

_USAGE = "python -m bilevel sync [study=NAME] [results=DIR] [processes=N] [tracking.uri=URI ...]"
_BULK = "bilevel.tracking.BulkTracker"
_QUIET_S = 30.0  # between two lines of progress where the output is no terminal
_WORTH_A_PROCESS = 25  # searches
_SEARCH = re.compile(r".+-seed\d+")


@dataclass(frozen=True)
class _Count:
    """The number of searches and trials that were written, of searches `present` in the store
    before, and a line for each problem."""

    synced: int = 0
    trials: int = 0
    present: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "_Count") -> "_Count":
        return _Count(
            self.synced + other.synced,
            self.trials + other.trials,
            self.present + other.present,
            self.problems + other.problems,
        )


def journals(results: Path, study: str | None) -> list[Path]:
    """Returns the journals of a study's searches, or of every study's, without those started
    over."""
    found = sorted((results / "searches").glob(f"{study or '*'}/*/{JOURNAL}"))
    if study is not None and not found:
        known = ", ".join(sorted(p.name for p in (results / "searches").glob("*/"))) or "none yet"
        raise BadInput(f"study={study} has no journal in {results}/searches; there are: {known}")
    return [path for path in found if _SEARCH.fullmatch(path.parent.name)]


def sync(arguments: Sequence[str]) -> _Count:
    """Writes every search into the store; one that cannot be written becomes a problem of the
    count.

    Raises BadInput and TrackingError where nothing can be written.
    """
    own, overrides = split(arguments, ("study", "processes", "results"))
    if any("=" not in argument for argument in arguments):
        raise BadInput(f"usage: {_USAGE}")
    results = own.get("results", "mlruns")
    overrides.append(f"results={quoted(results)}")
    paths = journals(Path(results), own.get("study"))
    processes = _processes(own.get("processes"), len(paths))
    work = (delayed(_synced)(path, tuple(overrides)) for path in paths)
    done = Parallel(processes, return_as="generator_unordered", max_nbytes=None)(work)
    seconds = 0.1 if sys.stderr.isatty() else _QUIET_S
    return sum(tqdm(done, total=len(paths), unit="search", mininterval=seconds), _Count())


def _processes(given: str | None, searches: int) -> int:
    """Returns how many processes to use: starting one takes seconds, which only many searches
    repay."""
    if given is None:
        return max(1, min(os.cpu_count() or 1, searches // _WORTH_A_PROCESS))
    return whole("processes", given)


def _synced(path: Path, overrides: tuple[str, ...]) -> _Count:
    """Writes one search, in any process. Raises only what would stop every other search too."""
    try:
        settings = settings_from_journal(path, CONF, overrides)
        uri = _uri(settings)
        if is_tracked(path.parent, uri):
            return _Count(present=1)
        return _Count(synced=1, trials=_write(path, settings, uri))
    except (TrackingError, ConfigError):
        raise
    except REPORTED as error:
        return _Count(problems=(f"{path.parent}: {reported_as(error)}",))


def _write(path: Path, settings: Settings, uri: str) -> int:
    """Executes the search into the tracker; returns how many trials it has, the baseline
    included."""
    tracker = _tracker(json.dumps(settings["tracking"], sort_keys=True), Path.cwd())
    with locked(path):  # refuses a search that is running: it tracks itself
        execution = replay_exactly(settings, path, tracker)
        if tracker.problem:
            raise TrackingError(tracker.problem)
        if execution.complete:
            mark_tracked(path.parent, uri)
    return sum(len(loop.trace) for loop in execution.loops[:1])


def _uri(settings: Settings) -> str:
    uri = settings["tracking"].get("uri")
    if uri is None:
        raise ConfigError("tracking=none: there is no store to write to; give tracking.uri=...")
    return str(uri)


@lru_cache(maxsize=8)
def _tracker(tracking: str, folder: Path) -> Tracker:
    """Returns the tracker, opened once for each process and folder, because opening takes
    seconds."""
    made: Tracker = instantiate({**json.loads(tracking), "_target_": _BULK})
    return made


def main(arguments: Sequence[str]) -> int:
    """Prints what was written; returns the exit code a shell sees."""

    def body(arguments: Sequence[str]) -> int:
        count = sync(arguments)
        for problem in count.problems:
            print(visible(str(problem)), file=sys.stderr)
        print(
            f"{count.synced} searches with {count.trials} trials written, {count.present} were "
            f"there already, {len(count.problems)} could not be written"
        )
        return 1 if count.problems else 0

    return command(arguments, __doc__, _USAGE, body)


if __name__ == "__main__":
    from bilevel.commands.sync import (
        main as imported,  # other processes find its functions by this name
    )

    sys.exit(imported(sys.argv[1:]))
