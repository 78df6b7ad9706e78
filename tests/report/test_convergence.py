"""Best-so-far is drawn against what was spent, and against nothing else."""

from dataclasses import replace

from bilevel.report.figures.convergence import _curves, convergence
from bilevel.report.figures.drawing import Drawing
from bilevel.report.numbers import rows_of
from bilevel.report.reading import Search, Study
from tests.report.test_numbers import SEARCH

PLACES = range(len(SEARCH.trials))
FREE = replace(
    SEARCH,
    arm="tpe",
    totals={"tokens": 0.0, "modelled_s": 0.0},
    curves={"tokens": dict.fromkeys(PLACES, 0.0), "modelled_s": dict.fromkeys(PLACES, 0.0)},
)
ASKING = replace(
    FREE, arm="level1", totals={"tokens": 70.0, "modelled_s": 0.0},
    curves={**FREE.curves, "tokens": {n: 10.0 * n for n in PLACES}},
)  # fmt: skip


def drawn(*searches: Search) -> Drawing:
    study = Study("demo", "sqlite:///x", "1", searches)
    return convergence(study, rows_of(study), "demo")


def test_a_landscape_costs_no_seconds_and_has_no_curve_of_them() -> None:
    made = drawn(ASKING, FREE)
    assert made.alt.endswith("by trial (0 is the baseline), tokens.")
    assert "Tokens include" in made.caption


def test_where_nothing_is_spent_there_are_trials_alone() -> None:
    made = drawn(FREE)
    assert made.alt.endswith("by trial (0 is the baseline).")
    assert "okens" not in made.caption


def test_an_arm_that_asks_nobody_has_no_curve_over_tokens() -> None:
    study = Study("demo", "sqlite:///x", "1", (ASKING, FREE))
    assert set(_curves(study, rows_of(study), "tokens")) == {"level1"}
    assert set(_curves(study, rows_of(study), "")) == {"level1", "tpe"}
