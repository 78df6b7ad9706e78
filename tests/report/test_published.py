"""The published trials, counted again, give what the paper prints and what its artifacts show."""

import pytest

from bilevel.report.published import group_of, published


def test_the_groups_have_the_printed_deltas() -> None:
    found = {group.group: [round(delta, 3) for delta in group.deltas] for group in published()}
    assert found == {
        "A": [-0.009, -0.008, -0.011],
        "B": [-0.0, -0.010, -0.009],
        "C": [-0.065, -0.011, -0.058],
        "D": [-0.001, -0.063, -0.039],
    }
    assert [round(group.mean, 3) for group in published()] == [-0.009, -0.007, -0.045, -0.034]
    assert [round(group.sd, 2) for group in published()] == [0.0, 0.01, 0.03, 0.03]


def test_restarts_come_with_level_2_alone() -> None:
    searches = [one for group in published() for one in group.searches]
    shape = {(one.group, one.restarts, one.extra_baselines, one.kept_unseen) for one in searches}
    assert shape == {
        ("A", 0, 0, 0), ("B", 0, 0, 0), ("C", 2, 2, 0), ("D", 2, 0, 2),
    }  # fmt: skip
    assert {one.group: one.evaluations for one in searches} == {"A": 30, "B": 30, "C": 32, "D": 30}
    assert sum(one.best_segment > 0 for one in searches) == 4
    assert sum(one.crashes for one in searches) == 4


def test_an_arm_finds_its_group() -> None:
    group = group_of("bilevel")
    assert group is not None
    assert group.mean == pytest.approx(-0.0448, abs=1e-4)
    assert group_of("tpe") is None
    assert group_of("bilevel", "accuracy") is None
