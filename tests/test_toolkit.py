"""The helpers of mechanisms: every example in them is true, and they agree with each other."""

import doctest
import math
import random

import pytest

from bilevel import toolkit
from bilevel.errors import SpaceError
from bilevel.parameters import Float, Subset, Text
from bilevel.space import Config, SearchSpace
from bilevel.toolkit import (
    changes_to,
    distance,
    failed,
    fresh,
    from_unit,
    measured,
    mine_first,
    open_parameters,
    owners,
    point,
    runs,
    snapped,
    tried,
    unit,
)
from bilevel.trace import FailureKind, Proposal
from tests.mechanisms.support import EVERY_KIND, trial, view, walk

RATE = SearchSpace((Float("RATE", 0.0, 1.0, 0.1),))
SHOWN = view(
    [
        trial(RATE, 0, {}, 1.0),
        trial(RATE, 1, {"RATE": 0.2}, 0.8),
        trial(RATE, 2, {"RATE": 0.9}, None),
    ],
    space=RATE,
)
PUBLIC = [name for name, made in vars(toolkit).items() if getattr(made, "__module__", "") ==
          toolkit.__name__ and not name.startswith("_")]  # fmt: skip


def test_every_function_has_an_example_that_is_true() -> None:
    finder, runner = doctest.DocTestFinder(recurse=True), doctest.DocTestRunner()
    named = {"view": SHOWN, **vars(toolkit)}
    tests = {t.name.rpartition(".")[2]: t for t in finder.find(toolkit, globs=named)}
    assert [name for name in PUBLIC if not tests[name].examples] == []
    for test in tests.values():
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_a_point_is_snapped_to_what_it_is_the_point_of() -> None:
    parameters, rng = open_parameters(view([])), random.Random(1)
    for _ in range(200):
        config = {**EVERY_KIND.baseline, **{p.name: p.sample(rng) for p in parameters}}
        at = point(parameters, config)
        assert len(at) == len(owners(parameters)) == 11
        assert all(0 <= x <= 1 for x in at)
        back = snapped(parameters, at)
        assert EVERY_KIND.check(back) == back
        for p in parameters:
            assert unit(p, back[p.name]) == pytest.approx(unit(p, config[p.name]), abs=1e-5)


def test_any_point_is_snapped_to_a_legal_configuration() -> None:
    parameters, rng = open_parameters(view([])), random.Random(2)
    for _ in range(200):
        made = snapped(parameters, [rng.uniform(-1, 2) for _ in owners(parameters)])
        assert EVERY_KIND.check(made) == made
    with pytest.raises(ValueError, match="zip"):
        snapped(parameters, [0.5])


def test_what_has_no_coordinates_is_refused() -> None:
    for kind in (Subset("SOME", ("a", "b")), Text("WORDS", 9)):
        assert unit(kind, kind.baseline) == ()
        with pytest.raises(SpaceError, match=f"{kind.name} has no coordinates"):
            from_unit(kind, [])


def test_distances_are_the_mean_over_parameters() -> None:
    parameters = [EVERY_KIND["LAYERS"], EVERY_KIND["PATTERN"]]
    one: Config = {"LAYERS": 1, "PATTERN": "S"}
    other: Config = {"LAYERS": 1, "PATTERN": "L"}
    assert distance(parameters, one, one) == distance([], one, other) == 0
    assert distance(parameters, one, other) == pytest.approx(math.sqrt(1 / 2))
    assert distance(parameters, one, {"LAYERS": 6, "PATTERN": 3}) == 1


def test_failures_are_told_apart_from_what_ran_nothing() -> None:
    invalid = trial(EVERY_KIND, 2, {}, None, failure=FailureKind.INVALID_PROPOSAL)
    crash = trial(EVERY_KIND, 1, {"LAYERS": 2}, None)
    at = view([trial(EVERY_KIND, 0, {}, 3.0), crash, invalid], direction="maximize")
    assert runs(at) == [(EVERY_KIND.baseline, -3.0), (crash.config, None)]
    assert measured(at) == [(EVERY_KIND.baseline, -3.0)]
    assert failed(at) == [crash.config]


def test_what_is_fresh_was_never_tried_and_is_new_to_the_base() -> None:
    at = view(walk(30))
    known = [trial.config for trial in at.trace]
    new = {**at.base, "LAYERS": 3, "RATE": 0.123}
    assert fresh(at, [*known, new, dict(new)]) == [new]
    assert len(tried(at)) == len({str(sorted(config.items())) for config in known})
    assert {**at.base, **changes_to(at, new)} == new


def test_ones_own_candidates_come_first_and_the_others_keep_their_order() -> None:
    candidates = [Proposal({}, str(n), origin) for n, origin in enumerate(("x", "me", "y", "me"))]
    assert [c.hypothesis for c in mine_first("me", candidates)] == ["1", "3", "0", "2"]
