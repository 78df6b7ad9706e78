"""Which settings the classical searches have from conf, and what others would have come to.

`python -m tests.bench.classical` prints markdown: settings × mean normalised gain (0 the baseline,
1 the optimum, noise-free) over problems that no result uses (tests/bench/drawn.py), with its 95 %
interval over problems. `--searches` chooses some, `--first` and `--problems` which problems.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.stats import t

from bilevel.acceptance import Greedy
from bilevel.loop import Loop
from bilevel.overrides import plain
from tests.bench.drawn import Drawn

CONF = Path(__file__).parents[2] / "conf"
P = "baseline.proposer"
SETTINGS: dict[str, tuple[str, ...]] = {
    "random": ("",),
    "tpe": ("",),
    "cmaes": ("",),
}


@dataclass(frozen=True)
class Ran:
    gain: float
    failed: int
    took_s: float


@cache
def proposer(arm: str, setting: str) -> Any:
    """What conf makes of an arm and overrides below baseline.proposer, separated by spaces."""
    overrides = [f"++{P}.{part}" for part in setting.split()]
    with initialize_config_dir(str(CONF), version_base=None):
        config = plain(compose("config", overrides=[f"arm={arm}", "task=trap", *overrides]))
    return instantiate(config["inner"]["proposer"])


def run(arm: str, setting: str, number: int, seed: int, trials: int) -> Ran:
    task = Drawn(number)
    began = time.perf_counter()
    made = proposer(arm, setting)(task.space)
    loop = Loop(task=task, proposer=made, acceptance=Greedy(), trials=trials, seed=seed)
    loop.run()
    assert loop.best is not None
    gained = task.exact(task.space.baseline) - task.exact(loop.best.config)
    failed = sum(trial.value is None for trial in loop.trace)
    return Ran(gained / task.gain, failed, time.perf_counter() - began)
