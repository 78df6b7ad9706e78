"""What writing a trial to MLflow costs: a sqlite store in WAL mode on the local disk."""

import statistics
import tempfile
import time

from bilevel.tracking import MlflowTracker
from tests.tracking.studies import info, records

_TRIALS = 40
_WARM = 5  # the first ones fill caches


def measure() -> list[tuple[str, float, str, str | None]]:
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


if __name__ == "__main__":
    for name, value, unit, target in measure():
        print(f"{name}: {value:.1f} {unit} (target {target})")
