"""How long the report on a large study takes: 200 searches of 30 trials, in ten arms.

`python -m tests.bench.report 1000` measures a larger one, which takes a quarter of an hour to
write, and tells what of it is reading.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random

from bilevel.report import report
from bilevel.report.reading import read
from bilevel.tracking import BulkTracker
from tests.report.inventions import invention
from tests.tracking.studies import info, mechanism, records

_SEARCHES = 200
_TRIALS = 30
_ARMS = ("level1", "restart", "sham", "level1_tokens", "tpe", "bilevel", "level2", "level1_5",
         "tabu", "curated")  # fmt: skip
_WITH_MECHANISMS = ("bilevel", "level2", "tabu", "curated")
_CONFIRMED = 5
_ACT = {"trial": 0, "mechanism": "tabu", "hook": "review", "effect": "decision"}
Row = tuple[str, float, str, str | None]


def measure() -> list[Row]:
    """(name, value, unit, target)."""
    with tempfile.TemporaryDirectory() as folder:
        uri = fixture(Path(folder), _SEARCHES)
        return [("report on 200 searches of 30 trials", _spent_s(uri, folder), "s", "<= 20")]


def fixture(folder: Path, searches: int) -> str:
    """A store with a made-up study `large`."""
    uri = f"sqlite:///{folder}/mlflow.db"
    tracker = BulkTracker(uri, traces=False)
    for number in range(searches):
        arm, seed = _ARMS[number % len(_ARMS)], number // len(_ARMS) + 1
        tracker.start(info(arm, seed, "large"))
        for record in records(arm, seed, _TRIALS, calls=False):
            acting = arm in _WITH_MECHANISMS and record.trial.number % 3 == 0
            tracker.trial(replace(record, hooks=(_ACT,) if acting else ()))
            if arm in ("bilevel", "level2") and record.trial.number in (10, 20):
                tracker.trial(invention(record.trial.number // 10, seed))
        if arm in _WITH_MECHANISMS:
            tracker.mechanisms([mechanism(rows=20)])
        delta = Random(f"{arm}/{seed}/confirmed").gauss(-0.01, 0.01)
        tracker.end("done", {"confirmed_delta": delta, "confirmed_n": _CONFIRMED})
    if tracker.problem:
        raise RuntimeError(tracker.problem)
    return uri


def _spent_s(uri: str, folder: str) -> float:
    began_s = time.perf_counter()
    report("large", uri, Path(folder) / "report")
    return time.perf_counter() - began_s


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        made = fixture(Path(place), int(sys.argv[1]) if sys.argv[1:] else _SEARCHES)
        start_s = time.perf_counter()
        read("large", made)
        print(f"reading: {time.perf_counter() - start_s:.1f} s")
        print(f"report: {_spent_s(made, place):.1f} s")
