import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.discovery.cells import CELLS, Cell, level, means, paired, read, spreads, written

CELL = st.builds(
    Cell,
    task=st.sampled_from(["a", "b", "c"]),
    repeat=st.integers(0, 9),
    gain=st.floats(-1, 1),
    taken=st.floats(0, 1),
    failed=st.integers(0, 30),
    errors=st.integers(0, 99),
    stopped=st.booleans(),
)


def cells(**gains: list[float]) -> list[Cell]:
    return [Cell(task, repeat, gain) for task, g in gains.items() for repeat, gain in enumerate(g)]


@given(st.lists(CELL))
def test_cells_come_back_from_the_notes_of_an_outcome(some: list[Cell]) -> None:
    back = read({CELLS: written(some)})
    assert [(c.task, c.repeat, c.failed, c.errors, c.stopped) for c in back] == [
        (c.task, c.repeat, c.failed, c.errors, c.stopped) for c in some
    ]
    assert all(math.isclose(a.gain, b.gain, abs_tol=1e-6) for a, b in zip(back, some, strict=True))


def test_an_outcome_of_another_task_has_none() -> None:
    assert read({}) == []


def test_the_error_is_over_tasks_and_not_over_cells() -> None:
    """More seeds of two tasks tell nothing of a third one."""
    few = level(cells(a=[0.2], b=[0.6]))
    many = level(cells(a=[0.2] * 50, b=[0.6] * 50))
    assert few.mean == many.mean == pytest.approx(0.4)
    assert few.se == pytest.approx(many.se)
    assert level(cells(a=[0.2])).se == math.inf


def test_only_searches_that_both_have_are_compared() -> None:
    long, short = cells(a=[0.5, 0.1], b=[0.5, 0.9]), cells(a=[0.4], b=[0.2])
    assert paired(long, short).by_task == pytest.approx({"a": 0.1, "b": 0.3})
    assert paired(short, long).mean == pytest.approx(-0.2)
    assert paired(long, []).by_task == {}


def test_what_differs_by_less_than_its_error_is_called_equal() -> None:
    zeros = cells(a=[0.0], b=[0.0], c=[0.0])
    assert "equal within its error" in str(paired(cells(a=[0.3], b=[-0.2], c=[0.1]), zeros))
    assert "equal" not in str(paired(cells(a=[0.3], b=[0.2], c=[0.25]), zeros))


def test_the_same_everywhere_is_neither_ahead_nor_behind() -> None:
    same = paired(cells(a=[0.3], b=[0.2]), cells(a=[0.3], b=[0.2]))
    assert (same.mean, same.p_ahead, same.p_behind, same.is_equal) == (0, 1, 1, True)


def test_p_values_hold_their_level_where_nothing_differs() -> None:
    """20 tasks, 4,000 times: p is below 0.05 in about a twentieth, on either side."""
    rng, ahead, behind = Random(7), 0, 0
    for _ in range(4000):
        one = [Cell(str(t), 0, rng.gauss(0, 0.3)) for t in range(20)]
        two = [Cell(str(t), 0, rng.gauss(0, 0.3)) for t in range(20)]
        found = paired(one, two)
        ahead += found.p_ahead <= 0.05
        behind += found.p_behind <= 0.05
    assert 160 < ahead < 240
    assert 160 < behind < 240


def test_means_and_spreads_are_those_of_each_task() -> None:
    some = cells(a=[0.2, 0.4], b=[0.5])
    assert means(some) == pytest.approx({"a": 0.3, "b": 0.5})
    assert spreads(some) == pytest.approx({"a": 0.1414214, "b": 0.0})
