"""What writing a trial to MLflow costs: a sqlite store in WAL mode on the local disk.

Trial by trial as a search goes on, and search by search afterwards. `python -m
tests.bench.tracking [SEARCHES]` also tells how the time grows with the store, and what it takes.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bilevel.tracking import BulkTracker, MlflowTracker, TrialRecord
from tests.tracking.studies import call, info, mechanism, records

_TRIALS = 40
_WARM = 5  # the first ones fill caches
_SEARCH = 30  # trials of a whole search
_PROMPT = "x = 1\n" * 3_170  # 4,750 tokens, 19 kB
_REPLY = "The learning rate is too high for so few steps. " * 6
Row = tuple[str, float, str, str | None]


def measure() -> list[Row]:
    """(name, value, unit, target): the median over a search, the least of three searches."""
    with tempfile.TemporaryDirectory() as folder:
        tracker = MlflowTracker(f"sqlite:///{folder}/mlflow.db")
        traced_ms = min(_trial_ms(tracker, 10 + n, calls=True) for n in range(3))
        plain_ms = min(_trial_ms(tracker, 20 + n, calls=False) for n in range(3))
        again_ms = _trial_ms(tracker, 20, calls=False)
    return [
        ("track a trial with one model call", traced_ms, "ms", "<= 45"),
        ("track a trial without a model call", plain_ms, "ms", "<= 38"),
        ("track a trial that is there already", again_ms, "ms", "<= 1"),
        *_whole_searches(),
    ]


def _trial_ms(tracker: MlflowTracker, seed: int, *, calls: bool) -> float:
    tracker.start(info(seed=seed))
    spent_ms: list[float] = []
    for record in records("A", seed, _TRIALS, calls):
        began_s = time.perf_counter()
        tracker.trial(record)
        spent_ms.append((time.perf_counter() - began_s) * 1000)
    if tracker.problem:
        raise RuntimeError(tracker.problem)
    return statistics.median(spent_ms[_WARM:])


def _whole_searches() -> list[Row]:
    """Both trackers in turn, so that a busy machine is busy for both."""
    with tempfile.TemporaryDirectory() as folder:
        plain = MlflowTracker(f"sqlite:///{folder}/plain/mlflow.db")
        whole = BulkTracker(f"sqlite:///{folder}/whole/mlflow.db")
        spent = [(search_ms(plain, seed), search_ms(whole, seed)) for seed in range(6)]
        again_ms = min(search_ms(whole, seed) for seed in range(3))
    plain_ms, whole_ms = (min(times) for times in zip(*spent[1:], strict=True))
    return [
        ("the same with a real prompt, a trial of a whole search", plain_ms, "ms", None),
        ("track it afterwards, search by search", whole_ms, "ms", "<= 35"),
        ("track it afterwards when it is there already", again_ms, "ms", None),
    ]


def search_ms(tracker: MlflowTracker, seed: int) -> float:
    """A whole search, its start and end included; ms a trial."""
    told = list(_real(seed))
    began_s = time.perf_counter()
    tracker.start(info(seed=seed))
    for record in told:
        tracker.trial(record)
    tracker.mechanisms([mechanism(rows=_SEARCH)])
    tracker.end("done", {"kept": 4.0})
    if tracker.problem:
        raise RuntimeError(tracker.problem)
    return (time.perf_counter() - began_s) * 1000 / _SEARCH


def _real(seed: int) -> Iterator[TrialRecord]:
    """A search whose model calls are as long as those about the training script."""
    messages = ({"role": "system", "content": "Improve it."}, {"role": "user", "content": _PROMPT})
    for record in records("A", seed, _SEARCH):
        asked = replace(
            call(record.trial.number), messages=messages, text=_REPLY, prompt_tokens=4_750
        )
        yield replace(record, calls=(asked,) if record.calls else ())


def _growth(searches: int) -> None:
    """What a large study costs, and whether the last searches cost more than the first."""
    with tempfile.TemporaryDirectory() as folder:
        tracker = BulkTracker(f"sqlite:///{folder}/mlflow.db")
        spent_ms = [search_ms(tracker, seed) for seed in range(searches)]
        again_ms = [search_ms(tracker, seed) for seed in range(min(50, searches))]
        sizes = {path: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}
        rows = sum(size for path, size in sizes.items() if path.parent == Path(folder))
        files = sum(sizes.values()) - rows
        blocks = sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*"))
    part = min(50, searches)
    print(f"{searches} searches of {_SEARCH} trials: {sum(spent_ms) * _SEARCH / 1000:.0f} s")
    print(f"ms a trial: {statistics.mean(spent_ms):.2f}, the first {part} "
          f"{statistics.mean(spent_ms[:part]):.2f}, the last {part} "
          f"{statistics.mean(spent_ms[-part:]):.2f}, there already "
          f"{statistics.mean(again_ms):.2f}")  # fmt: skip
    print(f"database {rows / 1e6:.0f} MB, {len(sizes)} files of {files / 1e6:.0f} MB, "
          f"on the disk {blocks / 1e6:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    for name, value, unit, target in measure():
        print(f"{name}: {value:.2f} {unit} (target {target})")
    if sys.argv[1:]:
        _growth(int(sys.argv[1]))
