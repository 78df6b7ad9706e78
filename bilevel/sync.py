"""Writes searches that were run untracked, or lost their store, into it from their journals.

`python -m bilevel.sync [study=NAME] [results=DIR] [tracking.uri=URI ...]`. Every search is
executed again from its journal alone, and the store is told of it in bulk; what the store holds
already is left as it is. A search that has not ended is written as far as it got.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate
from tqdm import tqdm

from bilevel.app import CONF
from bilevel.errors import BadInput, ConfigError, TrackingError
from bilevel.journal import hold
from bilevel.overrides import TOLD, told_by
from bilevel.rebuilt import Settings, rebuilt
from bilevel.replay import exactly
from bilevel.run import is_tracked, mark_tracked
from bilevel.search import JOURNAL
from bilevel.tracking import Tracker

USAGE = "python -m bilevel.sync [study=NAME] [results=DIR] [tracking.uri=URI ...]"
_SEARCH = re.compile(r".+-seed\d+")


@dataclass
class Count:
    """What became of the searches that were found."""

    synced: int = 0
    trials: int = 0
    held: int = 0
    failed: int = 0


def journals(results: Path, study: str | None) -> list[Path]:
    """The journals of a study's searches, or of every study's; those started over are left out."""
    found = sorted((results / "searches").glob(f"{study or '*'}/*/{JOURNAL}"))
    if study is not None and not found:
        known = ", ".join(sorted(p.name for p in (results / "searches").glob("*/"))) or "none yet"
        raise BadInput(f"study={study} has no journal in {results}/searches; there are: {known}")
    return [path for path in found if _SEARCH.fullmatch(path.parent.name)]


def sync(arguments: Sequence[str]) -> Count:
    """Tells one line a search that cannot be written, and goes on with the next one.

    Raises BadInput and TrackingError where nothing can be written.
    """
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    overrides = [a for a in arguments if a.partition("=")[0] != "study"]
    if len(given) < len(arguments):
        raise BadInput(f"usage: {USAGE}")
    count, trackers = Count(), dict[str, Tracker]()
    paths = journals(Path(given.get("results", "mlruns")), given.get("study"))
    for path in tqdm(paths, unit="search", disable=not sys.stderr.isatty()):
        try:
            settings = rebuilt(path, CONF, overrides)
            uri = _uri(settings)
            if is_tracked(path.parent, uri):
                count.held += 1
                continue
            if uri not in trackers:
                trackers[uri] = _tracker(settings)
            count.trials += _write(path, settings, uri, trackers[uri])
            count.synced += 1
        except (TrackingError, ConfigError):
            raise
        except TOLD as error:
            count.failed += 1
            print(f"{path.parent}: {told_by(error)}", file=sys.stderr)
    return count


def _write(path: Path, settings: Settings, uri: str, tracker: Tracker) -> int:
    """Returns how many trials the search has, the baseline included."""
    with _held(path):
        execution = exactly(settings, path, tracker)
        if tracker.problem:
            raise TrackingError(tracker.problem)
        if execution.complete:
            mark_tracked(path.parent, uri)
    return sum(len(loop.trace) for loop in execution.loops[:1])


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Refuses a search that is running: it tracks itself."""
    descriptor = hold(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _uri(settings: Settings) -> str:
    uri = settings["tracking"].get("uri")
    if uri is None:
        raise ConfigError("tracking=none: there is no store to write to; give tracking.uri=...")
    return str(uri)


def _tracker(settings: Settings) -> Tracker:
    tracking = settings["tracking"]
    tracker: Tracker = instantiate(tracking, bulk=True)
    return tracker


def main(arguments: Sequence[str]) -> int:
    """Prints what was written; returns the exit code a shell sees."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(f"{__doc__}\nusage: {USAGE}")
        return 0
    try:
        count = sync(arguments)
    except TOLD as error:
        failure = told_by(error)
        print(f"error: {failure}", file=sys.stderr)
        return failure.exit_code
    print(
        f"{count.synced} searches with {count.trials} trials written, {count.held} were there "
        f"already, {count.failed} could not be written"
    )
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
