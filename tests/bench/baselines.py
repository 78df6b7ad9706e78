"""What other people's searches come to on a landscape whose exact values are known.

`python -m tests.bench.baselines --seeds 20` prints markdown; `--arms` chooses some, `--with` gives
overrides for all of them. The stand-in model proposes where an arm asks one, so those rows say
nothing about language models.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from bilevel.config.overrides import plain
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.search.build import levels
from bilevel.search.seed_noise import with_measured_noise
from bilevel.tasks.surrogate import LANDSCAPES, Surrogate
from tests.bench.library import interval

CONF = Path(__file__).parents[2] / "conf"
ARMS = (
    "level1",
    "random",
    "tpe",
    "cmaes",
    "gp",
    "smac",
    "centaur",
    "optuna",
    "iid_llm",
    "sequential_llm",
    "claw_multibatch",
    "claw_refine",
    "evoscientist",
)


@dataclass(frozen=True)
class Ran:
    """One search: its noise-free delta and what it spent."""

    delta: float
    failed: int
    repeated: int
    calls: int
    tokens: int


def run(arm: str, landscape: str, seed: int, trials: int, overrides: Sequence[str] = ()) -> Ran:
    own = [f"arm={arm}", f"task={landscape}", f"seed={seed}", f"search.trials={trials}"]
    with initialize_config_dir(str(CONF), version_base=None):
        config = with_measured_noise(plain(compose("config", overrides=[*own, *overrides])))
    task = instantiate(config["task"], _convert_="all")
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    journal = Journal(None)
    with Session(client, journal, CallLedger(), seed) as session:
        loops = levels(config, task, journal=journal, asker=session.asker, observers=[])
        loops[-1].run()
        calls = session.ledger.calls
    inner = loops[0]
    if inner.best is None or len(inner.trace) != trials + 1:
        raise RuntimeError(f"{arm} on {landscape}, seed {seed}: {len(inner.trace)} trials")
    return Ran(
        task.exact(inner.best.config) - task.exact(task.space.baseline),
        sum(trial.value is None for trial in inner.trace),
        sum(trial.duplicate_of is not None for trial in inner.trace),
        len(calls),
        sum(call.prompt_tokens + call.completion_tokens for call in calls),
    )


def row(arm: str, ran: Sequence[Ran]) -> str:
    cells = [
        f"`{arm}`",
        interval([r.delta for r in ran]),
        f"{np.mean([r.failed for r in ran]):.1f}",
        f"{np.mean([r.repeated for r in ran]):.1f}",
        f"{np.mean([r.calls for r in ran]):.1f}",
        f"{np.mean([r.tokens for r in ran]):,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landscape", choices=LANDSCAPES, default="trap")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--with", nargs="+", dest="overrides", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    task = Surrogate(given.landscape)
    best = task.exact(task.optimum) - task.exact(task.space.baseline)
    print(f"`{given.landscape}`, {given.seeds} seeds, {given.trials} trials; stand-in: scripted.\n")
    print("| arm | delta | failed | repeated | calls | tokens |\n|" + " --- |" * 6)
    print(f"| the optimum | {best:+.4f} |" + " |" * 4)
    for arm in given.arms:
        seeds = range(1, given.seeds + 1)
        ran = [run(arm, given.landscape, s, given.trials, given.overrides) for s in seeds]
        print(row(arm, ran), flush=True)


if __name__ == "__main__":
    main()
