"""The strongest classical search is the best of those that were run alike."""

import pytest

from bilevel.report.strongest import strongest
from bilevel.trace import Objective
from tests.report.test_comparisons import arm

ROWS = [
    *arm("bilevel", -9, -9),
    *arm("cmaes", -3, -5),
    *arm("random", -1, -2),
    *arm("tpe", -4, -6),
]


@pytest.mark.parametrize(("direction", "best"), [("minimize", "tpe"), ("maximize", "random")])
def test_it_is_the_best_by_the_confirmed_delta(direction: str, best: str) -> None:
    found = strongest(ROWS, Objective("m", direction))
    assert found is not None
    assert (found.arm, found.outcome, found.of) == (
        best, "confirmed delta", ("random", "tpe", "cmaes"),
    )  # fmt: skip
    assert "each of them is a control" in str(found)


def test_one_alone_is_the_strongest_and_none_is_none() -> None:
    objective = Objective("m")
    assert str(strongest(arm("tpe", -1, -2), objective)) == (
        "strongest classical search: tpe (confirmed delta -1.5000, the only one here)"
    )
    assert strongest(arm("bilevel", -1, -2), objective) is None
    assert strongest(arm("tpe", None), objective) is None


def test_searches_that_were_not_run_alike_are_not_ranked() -> None:
    found = strongest([*arm("random", -1, trials=300), *arm("tpe", -1)], Objective("m"))
    assert found is not None
    assert str(found) == (
        "strongest classical search: none is named (different charged evaluations: 300 and 30)"
    )
