"""What the settings of the classical searches were chosen on, and what others would come to.

`python -m tests.bench.classical` prints markdown: for each setting the noise-free gain of a search
(0 the baseline, 1 the optimum) over problems that no result uses (tests/bench/drawn.py), averaged
over seeds, with its 95 % Student's t interval over problems, and the same for what it gains on
conf's own setting, paired. `--arms`, `--first`, `--problems` and `--seeds` say which; `gp` takes
six seconds of one core a search, `smac` forty.
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.stats import t as student

from bilevel.config.overrides import plain
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from tests.bench.drawn import Drawn

CONF = Path(__file__).parents[2] / "conf"
OWN = ""  # the setting that conf has
STARTUP, TOGETHER = "sampler.n_startup_trials", "sampler.multivariate"
SIGMA, POPULATION = "sampler.sigma0", "sampler.popsize"
SETTINGS: dict[str, tuple[str, ...]] = {
    "random": (OWN,),
    "tpe": (
        OWN,
        *(f"{STARTUP}={count}" for count in (3, 5)),
        *(f"{STARTUP}={count} {TOGETHER}=false" for count in (5, 10)),
    ),
    "cmaes": (
        OWN,
        "start=middle",
        *(f"{SIGMA}={sigma}" for sigma in (0.05, 0.1, 0.25)),
        *(f"{POPULATION}={count}" for count in (5, 8)),
        *(f"{SIGMA}={sigma} {POPULATION}=5" for sigma in (0.1, 0.2, 0.25)),
    ),
    "gp": (OWN, f"{STARTUP}=10", f"{STARTUP}=10 failures=far"),
    "smac": (OWN, "initial=3", "retrain_after=8"),
    "centaur": ("share=0.0", "share=0.0 start=middle"),  # its CMA-ES alone
}


@dataclass(frozen=True)
class Ran:
    """One search: its share of what there was to gain, and what it took."""

    gain: float
    failed: int
    took_s: float


@cache
def proposer(arm: str, setting: str) -> Any:
    """What conf makes of an arm and of overrides below `baseline.proposer`."""
    own = [f"++baseline.proposer.{part}" for part in setting.split()]
    with initialize_config_dir(str(CONF), version_base=None):
        config = plain(compose("config", overrides=[f"arm={arm}", "task=trap", *own]))
    return instantiate(config["inner"]["proposer"])


def run(arm: str, setting: str, number: int, seed: int, trials: int) -> Ran:
    task, began = Drawn(number), time.perf_counter()
    made = proposer(arm, setting)(task.space)
    loop = Loop(task=task, proposer=made, acceptance=Greedy(), trials=trials, seed=seed)
    loop.run()
    if loop.best is None:
        raise RuntimeError(f"{arm} on {task.name}, seed {seed}: nothing was kept")
    gained = task.exact(task.space.baseline) - task.exact(loop.best.config)
    failed = sum(trial.value is None for trial in loop.trace)
    return Ran(gained / task.gain, failed, time.perf_counter() - began)


def interval(values: Any) -> str:
    """The mean with its 95% interval."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.3f} ± {half:.3f}"


def row(arm: str, setting: str, ran: Sequence[Sequence[Ran]], own: Sequence[Sequence[Ran]]) -> str:
    """Both hold the searches of each problem."""
    gains, others = (np.array([[r.gain for r in rs] for rs in r_s]).mean(1) for r_s in (ran, own))
    every = [one for searches in ran for one in searches]
    cells = [
        f"`{arm}`",
        f"`{setting}`" if setting else "conf's",
        interval(gains),
        "" if ran is own else interval(gains - others),
        f"{np.mean([r.failed for r in every]):.1f}",
        f"{np.mean([r.took_s for r in every]):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--problems", type=int, default=45)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    numbers = range(given.first, given.first + given.problems)
    print(
        f"Problems {numbers[0]} to {numbers[-1]}, {given.seeds} seeds, {given.trials} trials.\n\n"
        "| arm | setting | gain | on conf's | failed | s a search |\n" + "|" + " --- |" * 6
    )
    with ProcessPoolExecutor(given.workers) as pool:

        def begun(arm: str, setting: str) -> list[list[Future[Ran]]]:
            seeds = range(1, given.seeds + 1)
            asked = given.trials
            return [[pool.submit(run, arm, setting, n, s, asked) for s in seeds] for n in numbers]

        for arm in given.arms:
            waiting = {setting: begun(arm, setting) for setting in SETTINGS[arm]}
            own: list[list[Ran]] = []
            for setting, problems in waiting.items():
                ran = [[one.result() for one in searches] for searches in problems]
                own = own or ran
                print(row(arm, setting, ran, own), flush=True)


if __name__ == "__main__":
    main()
