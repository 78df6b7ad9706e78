"""Landscapes: the declared optimum is one, and the trap has the published shape."""

from random import Random

import pytest

from bilevel.errors import ConfigError
from bilevel.tasks.surrogate import LANDSCAPES, Crash, Surrogate
from bilevel.trace import FailureKind, Proposal


@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_nothing_is_better_than_the_optimum(landscape: str) -> None:
    task = Surrogate(landscape)
    lowest = task.exact(task.optimum)
    assert lowest < task.exact(task.space.baseline)
    rng = Random(0)
    for _ in range(2000):
        config = dict(task.optimum if rng.random() < 0.5 else task.space.baseline)
        for parameter in rng.sample(task.space.parameters, rng.randint(1, 3)):
            config[parameter.name] = parameter.sample(rng)
        try:
            assert task.exact(config) >= lowest - 1e-12
        except Crash:
            continue


def test_the_trap_has_the_published_effects() -> None:
    task = Surrogate("trap")
    start = task.exact(task.space.baseline)

    def effect(**changes: object) -> float:
        return task.exact({**task.space.baseline, **changes}) - start  # type: ignore[dict-item]

    assert effect(TOTAL_BATCH_SIZE=2**20) == pytest.approx(0.06)
    assert effect(TOTAL_BATCH_SIZE=2**18) == pytest.approx(-0.04)
    assert effect(TOTAL_BATCH_SIZE=2**17) == pytest.approx(-0.06)
    assert effect(WEIGHT_DECAY=0.1) == pytest.approx(-0.008)
    assert effect(WINDOW_PATTERN="SSSS") == pytest.approx(-0.002)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"TOTAL_BATCH_SIZE": 2**16}, FailureKind.CRASH),
        ({"DEVICE_BATCH_SIZE": 256}, FailureKind.OUT_OF_MEMORY),
    ],
)
def test_the_trap_crashes_where_it_should(changes: dict[str, object], kind: FailureKind) -> None:
    outcome = Surrogate("trap").evaluate(None, Proposal(changes), seed=1)
    assert outcome.failure is not None
    assert outcome.failure.kind is kind


def test_noise_belongs_to_configuration_and_seed() -> None:
    task = Surrogate("noisy")
    values = [task.evaluate(None, Proposal({}), seed).value for seed in range(400)]
    assert task.evaluate(None, Proposal({}), 7).value == values[7]
    exact = task.exact(task.space.baseline)
    errors = [value - exact for value in values if value is not None]
    spread = (sum(e * e for e in errors) / len(errors)) ** 0.5
    assert spread == pytest.approx(task.noise_sd, rel=0.15)


def test_an_unknown_landscape_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="valid: trap, interaction, plateau, noisy"):
        Surrogate("trapp")
