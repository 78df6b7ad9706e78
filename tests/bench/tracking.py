"""What writing a trial to MLflow costs: a sqlite store in WAL mode on the local disk."""

import statistics
import tempfile
import time

from bilevel.tracking import MlflowTracker
from tests.tracking.studies import info, records

_TRIALS = 40
_WARM = 5  # the first ones fill caches


def measure() -> list[tuple[str, float, str, float | None]]:
    """(name, value, unit, target): the median over a search, with and without model calls."""
    with tempfile.TemporaryDirectory() as folder:
        tracker = MlflowTracker(f"sqlite:///{folder}/mlflow.db")
        traced_ms = _trial_ms(tracker, calls=True)
        plain_ms = _trial_ms(tracker, calls=False)
        again_ms = _trial_ms(tracker, calls=False)
    return [
        ("track a trial with one model call", traced_ms, "ms", 45.0),
        ("track a trial without a model call", plain_ms, "ms", 38.0),
        ("track a trial that is there already", again_ms, "ms", 1.0),
    ]


def _trial_ms(tracker: MlflowTracker, *, calls: bool) -> float:
    tracker.start(info(seed=1 if calls else 2))
    spent_ms: list[float] = []
    for record in records("A", 1, _TRIALS, calls):
        began_s = time.perf_counter()
        tracker.trial(record)
        spent_ms.append((time.perf_counter() - began_s) * 1000)
    if tracker.problem:
        raise RuntimeError(tracker.problem)
    return statistics.median(spent_ms[_WARM:])


if __name__ == "__main__":
    for name, value, unit, target in measure():
        print(f"{name}: {value:.1f} {unit} (target {target})")
