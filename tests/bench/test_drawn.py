"""The problems that settings are chosen on are what they say, and none that a result uses."""

from random import Random

import pytest

from bilevel.tasks.surrogate import PARAMETERS
from bilevel.trace import Proposal
from tests.bench.drawn import Drawn

NUMBERS = range(1, 61)


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_is_below_the_optimum_and_the_baseline_is_above_it(number: int) -> None:
    task, rng = Drawn(number), Random(number)
    best = task.exact(task.optimum)
    assert task.exact(task.space.baseline) - best == pytest.approx(task.gain)
    assert not task.crashes(task.optimum)
    assert task.evaluate(None, Proposal({}), seed=1).value is not None
    for _ in range(50):
        drawn = {p.name: p.sample(rng) for p in task.space.active}
        assert task.exact(drawn) >= best - 1e-12
        assert (task.evaluate(None, Proposal(drawn), 1).value is None) == task.crashes(drawn)


def test_they_have_every_kind_and_crashes_and_noise_and_no_known_name() -> None:
    tasks = [Drawn(number) for number in NUMBERS]
    kinds = {type(p).__name__ for task in tasks for p in task.space.active}
    assert kinds == {"Float", "Int", "PowerOfTwo", "Tuple", "Choice"}
    assert {task.kind for task in tasks} == {"good", "middling", "trap"}
    assert {round((task.noise_sd or 0.0) / task.gain, 3) for task in tasks} == {
        0.0,
        0.01,
        0.05,
        0.2,
    }
    names = {p.name for task in tasks for p in task.space.active}
    assert not names & {p.name for p in PARAMETERS}
    rng = Random(1)
    shares = [
        sum(t.crashes({p.name: p.sample(rng) for p in t.space.active}) for _ in range(40)) / 40
        for t in tasks
    ]
    assert sum(share > 0 for share in shares) >= 20
    assert max(shares) < 0.8


def test_one_number_is_one_problem() -> None:
    assert [Drawn(3).optimum, Drawn(3).gain] == [Drawn(3).optimum, Drawn(3).gain]
    assert Drawn(3).space != Drawn(4).space
