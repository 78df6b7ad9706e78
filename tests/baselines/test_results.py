"""What a sampler is told: everything that was tried, once, and failures as something to avoid."""

from dataclasses import replace

import pytest

from bilevel.baselines.results import Results
from bilevel.errors import ConfigError
from bilevel.trace import FailureKind, Outcome, Trial
from tests.mechanisms.support import EVERY_KIND, trial, view

TRIALS = [
    trial(EVERY_KIND, 0, {}, 1.0, kept=True),
    trial(EVERY_KIND, 1, {"RATE": 0.5}, 3.0),
    trial(EVERY_KIND, 2, {"RATE": 0.9}, None),
    trial(EVERY_KIND, 3, {"RATE": 0.2}, 0.5, kept=True),
]


def losses_of(*trials: Trial, direction: str = "minimize") -> list[float]:
    return [loss for _, loss in Results().news(view(trials, direction=direction))]


def test_every_trial_is_told_once() -> None:
    results = Results()
    assert [len(results.news(view(TRIALS[:n]))) for n in (1, 3, 3, 4)] == [1, 2, 0, 1]
    assert results.news(view(TRIALS)) == []


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_failure_is_far_worse_than_the_worst(direction: str) -> None:
    losses = losses_of(*TRIALS, direction=direction)
    valued = [loss for n, loss in enumerate(losses) if n != 2]
    spread = max(valued) - min(valued)
    assert losses[2] > max(valued) + 5 * spread
    assert losses[2] > losses_of(TRIALS[0], replace(TRIALS[1], outcome=Outcome(9.0)))[1]


def near(*trials: Trial) -> list[float]:
    return [loss for _, loss in Results("near").news(view(trials))]


def test_a_near_failure_is_worse_than_the_worst_by_the_range_of_values() -> None:
    assert near(*TRIALS) == [1.0, 3.0, 5.0, 0.5]


@pytest.mark.parametrize(("value", "loss"), [(3.0, 3.3), (-3.0, -2.7), (0.5, 0.6)])
def test_or_by_a_tenth_of_the_only_value(value: float, loss: float) -> None:
    only = replace(TRIALS[0], outcome=Outcome(value))
    assert near(only, replace(TRIALS[2], number=1))[1] == pytest.approx(loss)


def test_any_other_way_to_tell_failures_is_refused() -> None:
    with pytest.raises(ConfigError, match="failures='worst': expected far or near"):
        Results("worst")


def test_a_failure_without_any_value_has_a_loss() -> None:
    assert losses_of(trial(EVERY_KIND, 0, {}, None)) == [10.0]


def test_a_duplicate_is_told_again() -> None:
    again = replace(TRIALS[1], number=2, duplicate_of=1)
    assert losses_of(*TRIALS[:2], again) == [1.0, 3.0, 3.0]


def test_retests_and_refused_proposals_are_left_out() -> None:
    retest = replace(TRIALS[0], number=1, retest_of=0)
    refused = trial(EVERY_KIND, 2, {}, None, failure=FailureKind.INVALID_PROPOSAL)
    by_the_script = trial(EVERY_KIND, 3, {"RATE": 1.0}, None, failure=FailureKind.INVALID_PROPOSAL)
    results = Results().news(view([TRIALS[0], retest, refused, by_the_script]))
    assert [config["RATE"] for config, _ in results] == [0.1, 1.0]
