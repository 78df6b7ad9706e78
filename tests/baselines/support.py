"""Arms as their configurations make them, and the spaces that their proposers search."""

import importlib.util
from functools import cache
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.loop import Loop
from bilevel.search.build import levels
from bilevel.search.seed_noise import with_measured_noise
from bilevel.space import SearchSpace, space_from
from bilevel.tasks import constants
from bilevel.tasks.cpu_gpt.task import SCRIPT
from bilevel.tasks.surrogate import PARAMETERS, Surrogate
from bilevel.view import Proposer
from tests.mechanisms.support import EVERY_KIND

ARMS = (
    "random",
    "tpe",
    "cmaes",
    "gp",
    "portfolio",
    "centaur",
    "iid_llm",
    "sequential_llm",
    "claw_multibatch",
    "claw_refine",
    "evoscientist",
    "optuna",
)
OWN_SPACE = tuple(arm for arm in ARMS if arm != "optuna")
SMAC = pytest.param(
    "smac",
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(importlib.util.find_spec("smac") is None, reason="needs the extra smac"),
    ],
)


@cache
def configured(arm: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base=None):
        made = plain(compose("config", overrides=[f"arm={arm}", "task=trap", "results=nowhere"]))
    return with_measured_noise(made)


@cache
def cpu_gpt() -> SearchSpace:
    """The benchmark's space, as its configuration and its script make it."""
    with initialize_config_dir(str(CONF), version_base=None):
        task = plain(compose("config", overrides=["task=cpu_gpt"]))["task"]
    own = constants.read(SCRIPT.read_text(), list(task["parameters"]))
    specs = {n: {**s, "baseline": own[n]} for n, s in task["parameters"].items()}
    return space_from(specs, task["locked"])


def spaces() -> dict[str, SearchSpace]:
    return {"every kind": EVERY_KIND, "trap": SearchSpace(PARAMETERS), "cpu_gpt": cpu_gpt()}


def proposer(arm: str, space: SearchSpace) -> Proposer:
    made: Proposer = instantiate(configured(arm)["inner"]["proposer"])(space)
    return made


def search(
    arm: str,
    seed: int = 1,
    trials: int = 20,
    journal: Journal | None = None,
    noise_sd: float | None = None,
    batch: int | None = None,
) -> list[Loop]:
    """The loops of an arm on `trap`, run to their end with the stand-in model."""
    config = {**configured(arm), "seed": seed, "search": {"trials": trials}}
    if batch is not None:
        config["inner"] = {**config["inner"], "batch": batch}
    kept = journal or Journal(None)
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    with Session(client, kept, CallLedger(), seed) as session:
        loops = levels(
            config,
            Surrogate("trap", noise_sd),
            journal=kept,
            asker=session.asker,
            observers=[],
        )
        loops[-1].run()
    return loops
