"""What confinement costs: a hook call beside a trace of 30 trials, and a start with numpy."""

import statistics
import time
from pathlib import Path

from bilevel.baselines.random_search import RandomSearch
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.sandbox import spare
from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.worker_handle import CONFINING, Limits, missing
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Proposal

CALLS = 2000
STARTS = 7
SPARE_S = 1.0
TABU = Path(__file__).parents[1] / "sandbox" / "sources" / "tabu.py"
Row = tuple[str, float, str, str | None]


def measure() -> list[Row]:
    rows: list[Row] = []
    for layer in CONFINING:
        reason = missing(layer)
        if reason:
            rows.append((f"{layer}: {reason}", float("nan"), "", None))
            continue
        calls = call_ms(layer)
        rows += [
            (f"{layer}: hook call, p50", calls[0], "ms", "<= 0.15"),
            (f"{layer}: hook call, p99", calls[1], "ms", "<= 1"),
            (f"{layer}: start with numpy", start_s(layer, "import numpy"), "s", "<= 0.2"),
            (f"{layer}: start without", start_s(layer, ""), "s", None),
            (f"{layer}: first start, numpy", start_s(layer, "import numpy", first=True), "s", None),
        ]
    return rows


def call_ms(layer: str) -> tuple[float, float]:
    task = Surrogate("trap")
    loop = Loop(
        task=task,
        proposer=RandomSearch(task.space, changes=1),
        acceptance=Greedy(),
        trials=29,
    )
    loop.run()
    view = loop.view()
    name = task.space.active[0].name
    candidates = (Proposal({name: task.space.active[0].baseline}),)
    taken = []
    with confine(TABU.read_text(), limits=Limits(layer)) as confined:
        for _ in range(CALLS):
            started = time.perf_counter()
            confined.review(view, candidates)
            taken.append((time.perf_counter() - started) * 1000)
    ordered = sorted(taken)
    return statistics.median(ordered), ordered[int(CALLS * 0.99)]


def start_s(layer: str, imports: str, *, first: bool = False) -> float:
    """From a text to a mechanism that can be called; the fastest of several. The `first` of a
    process finds no spare worker; the next ones do, once it had the time to start."""
    taken = []
    for _ in range(STARTS):
        if first:
            spare.close()
        else:
            time.sleep(SPARE_S)
        started = time.perf_counter()
        confine(f"{imports}\n{TABU.read_text()}", limits=Limits(layer)).close()
        taken.append(time.perf_counter() - started)
    return min(taken)
