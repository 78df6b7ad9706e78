"""What each curated mechanism is worth on landscapes whose exact values are known.

`python -m tests.bench.library --seeds 20` prints markdown. The stand-in model proposes, so the
numbers say how mechanisms act on a fixated proposer, and nothing about language models.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml
from hydra.utils import instantiate

from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import Mechanism
from bilevel.proposers.llm import LLMProposer
from bilevel.report.output import banded
from bilevel.statistics import estimates
from bilevel.tasks.surrogate import LANDSCAPES, Surrogate

CONF = Path(__file__).parents[2] / "conf"
BASE, CURATED = "level1", "curated"
ALONE = tuple(sorted(f.stem for f in (CONF / "mechanisms").glob("*.yaml") if f.stem != "none"))
ARMS = (BASE, *ALONE, CURATED)


@dataclass(frozen=True)
class Ran:
    """One search: its noise-free delta, the calls it made, and what became of its mechanisms."""

    delta: float
    calls: int
    failed: int
    liveness: Mapping[str, str]


def names(arm: str) -> Sequence[str]:
    """The mechanisms of an arm, in order."""
    if arm == BASE:
        return ()
    if arm != CURATED:
        return (arm,)
    defaults = yaml.safe_load((CONF / "arm" / f"{CURATED}.yaml").read_text())["defaults"]
    chosen: list[str] = next(d for d in defaults if "override /mechanisms" in d).popitem()[1]
    return chosen


def made(name: str) -> Mechanism:
    spec = yaml.safe_load((CONF / "mechanisms" / f"{name}.yaml").read_text())
    mechanism: Mechanism = instantiate(spec[name])
    return mechanism


def run(arm: str, landscape: str, seed: int, trials: int) -> Ran:
    task = Surrogate(landscape)
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    with Session(client, Journal(None), CallLedger(), seed) as session:
        loop = Loop(
            task=task,
            proposer=LLMProposer(task.space),
            acceptance=Greedy(),
            trials=trials,
            seed=seed,
            asker=session.asker,
            pipeline=Pipeline([made(name) for name in names(arm)]),
        )
        loop.run()
        calls = len(session.ledger)
    errors = [row.error for row in loop.pipeline.ledger.rows() if row.error]
    if loop.best is None or errors:
        raise RuntimeError(f"{arm} on {landscape}, seed {seed}: {errors or 'nothing was kept'}")
    alive = {name: str(loop.pipeline.liveness(name, len(loop.trace))) for name in names(arm)}
    delta = task.exact(loop.best.config) - task.exact(task.space.baseline)
    failed = sum(trial.value is None for trial in loop.trace)
    return Ran(delta, calls, failed, alive)


def interval(values: Sequence[float]) -> str:
    """The mean with its 95 % interval, where the report would give one."""
    return f"{fmean(values):+.4f}{banded(estimates.interval(values))}"


def row(arm: str, landscape: str, ran: Sequence[Ran], base: Sequence[Ran]) -> str:
    differences = [one.delta - other.delta for one, other in zip(ran, base, strict=True)]
    alive = Counter(r.liveness[arm] for r in ran) if arm in ALONE else Counter[str]()
    cells = [
        landscape,
        f"`{arm}`",
        interval([r.delta for r in ran]),
        "" if arm == BASE else interval(differences),
        ""
        if arm == BASE
        else f"{sum(d < 0 for d in differences)}/{sum(d > 0 for d in differences)}",
        f"{np.mean([r.failed for r in ran]):.1f}",
        f"{np.mean([r.calls for r in ran]):.1f}",
        ", ".join(f"{state} {count}" for state, count in sorted(alive.items())),
    ]
    return f"| {' | '.join(cells)} |"


def table(results: Mapping[tuple[str, str], Sequence[Ran]]) -> str:
    optima = {name: Surrogate(name) for name in LANDSCAPES}
    lines = [
        "| landscape | arm | delta | minus level1 | better/worse | failed | calls | ledger |",
        "|" + " --- |" * 8,
    ]
    for landscape, task in optima.items():
        best = task.exact(task.optimum) - task.exact(task.space.baseline)
        lines.append(f"| {landscape} | the optimum | {best:+.4f} |" + " |" * 5)
        for arm in ARMS:
            lines.append(row(arm, landscape, results[landscape, arm], results[landscape, BASE]))
    lines += ["", "In `curated`, searches by ledger:", ""]
    lines += [
        "| mechanism | " + " | ".join(LANDSCAPES) + " |",
        "|" + " --- |" * (1 + len(LANDSCAPES)),
    ]
    for name in names(CURATED):
        cells = []
        for landscape in LANDSCAPES:
            alive = Counter(r.liveness[name] for r in results[landscape, CURATED])
            cells.append(", ".join(f"{state} {count}" for state, count in sorted(alive.items())))
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    seeds = range(1, given.seeds + 1)
    pairs = list(product(LANDSCAPES, ARMS))
    results: dict[tuple[str, str], list[Any]] = {}
    with ProcessPoolExecutor(given.workers) as pool:
        waiting = {
            (landscape, arm): [pool.submit(run, arm, landscape, s, given.trials) for s in seeds]
            for landscape, arm in pairs
        }
        for pair, runs in waiting.items():
            results[pair] = [future.result() for future in runs]
    print(f"Scripted stand-in, {given.seeds} seeds, {given.trials} trials, lower is better.\n")
    print(table(results))


if __name__ == "__main__":
    main()
