"""Surrogates of a search: samples of its trace, with a scale of their own."""

import json
import pickle
from dataclasses import replace

import pytest

from bilevel.admission.shipped import loaded
from bilevel.discovery.contestant import Contestant
from bilevel.discovery.fits import Fit, fits
from bilevel.discovery.measuring import Measuring
from bilevel.loop.acceptance import Always
from bilevel.loop.loop import Loop
from bilevel.parameters import Text
from bilevel.sandbox.worker_handle import Limits
from bilevel.space import SearchSpace
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Trace
from bilevel.view import View
from tests.helpers import Listed


@pytest.fixture(scope="module")
def view() -> View:
    return loaded("trap")


def test_each_is_another_bootstrap_sample_that_holds_the_baseline(view: View) -> None:
    found = fits(view, 2, least=8)
    assert len(found) == 2
    assert all(fit.tells for fit in found)
    assert found == fits(view, 2, least=8)
    bags = [json.loads(fit.text)[2] for fit in found]
    assert bags[0] != bags[1]
    for bag in bags:
        numbers = [trial["of"][0] for trial in bag]
        assert numbers[0] == 0
        assert 10 < len({*numbers}) < len(numbers) <= len(view.trace)


def test_its_gain_is_nothing_at_the_baseline_and_at_most_one(view: View) -> None:
    [fit] = fits(view, 1, least=8)
    task = fit.task()
    assert fit.gain(task.space.baseline, 1) == 0.0
    rng = view.for_("anywhere").rng
    found = [fit.gain({p.name: p.sample(rng) for p in task.space.active}, 1) for _ in range(40)]
    assert -1.0 <= min(found) < max(found) <= 1.0
    assert len({*found}) > 10
    best = min((t for t in view.trace if t.value is not None), key=lambda t: t.value or 0.0)
    assert fit.gain(best.config, 1) > 0.5
    values = [t.value for t in view.trace if t.value is not None]
    assert 0.0 < task.noise_sd < max(values) - min(values)


def test_another_process_makes_the_same_one(view: View) -> None:
    fit = Fit.to(view, 1)
    again: Fit = pickle.loads(pickle.dumps(fit))
    at = view.trace[3].config
    assert again == fit
    assert again.gain(at, 1) == fit.gain(at, 1)


def test_searches_of_it_are_cells_like_others(view: View) -> None:
    [fit] = fits(view, 1, least=8)
    how = Measuring(Contestant.named("random", "none", 20), Limits("unsafe"), 9.0, workers=1)
    [(cell, _), (again, _), (other, _)] = how.cells([(fit, 0), (fit, 0), (fit, 1)], seed=3)
    assert cell == again
    assert (cell.task, other.repeat) == ("surrogate 1", 1)
    assert 0.0 < cell.gain <= 1.0
    assert cell.gain != other.gain


def test_one_that_nearly_anything_solves_is_left_out() -> None:
    """Nine trials of one parameter: half of the space is predicted to be the best."""
    steps: list[dict[str, object]] = [{"WEIGHT_DECAY": 0.2 - n / 100} for n in range(1, 10)]
    loop = Loop(task=Surrogate("trap"), proposer=Listed(*steps), acceptance=Always(), trials=9)
    loop.run()
    fit = Fit.to(loop.view(), 1)
    assert fit.reachable > 0
    assert not fit.tells
    assert fit not in fits(loop.view(), 3, least=8)


def test_there_are_none_before_enough_was_measured_and_none_of_texts(view: View) -> None:
    assert fits(replace(view, trace=Trace(view.trace[:6])), 2, least=8) == []
    assert fits(replace(view, trace=Trace(view.trace[:1])), 2, least=1) == []
    texts = replace(view, space=SearchSpace((*view.space.active, Text("script", 9, ""))))
    assert fits(texts, 2, least=8) == []
