"""The numbers of a report against ones worked out by hand."""

from dataclasses import replace

import pytest

from bilevel.report.numbers import arm_rows, best_so_far, search_row
from bilevel.report.reading import Search, Tried
from bilevel.trace import Objective

UP, DOWN, OTHER = ("A", "up"), ("A", "down"), ("B", "up")


def tried(number: int, value: float | None, decision: str, *moves: tuple[str, str]) -> Tried:
    return Tried(number, value, decision, frozenset(moves))


SEARCH = Search(
    arm="A",
    seed=1,
    llm="scripted",
    task="surrogate",
    ended="done",
    stand_in=True,
    objective=Objective("val_bpb"),
    trials=(
        tried(0, 1.10, "keep"),
        tried(1, 1.20, "discard", UP),
        tried(2, 1.08, "keep", UP, OTHER),  # another set than {UP}: no repetition
        tried(3, 1.30, "discard", UP),  # repeats trial 1
        tried(4, None, "fail"),  # a reply without a move: counted, no repetition
        tried(5, None, "fail"),
        tried(6, 1.09, "keep", DOWN),  # kept by a mechanism although it is worse than the best
        tried(7, 1.00, "discard", OTHER, UP),  # repeats trial 2; a discarded value is never best
    ),
    totals={"tokens": 700.0, "modelled_s": 80.0, "wall_s": 8.0},
)


def test_a_search_in_numbers() -> None:
    row = search_row(SEARCH)
    assert row.trials == 7
    assert (row.baseline, row.best) == (1.10, 1.08)
    assert row.delta == pytest.approx(-0.02)
    assert (row.kept, row.discarded, row.failed) == (2, 3, 2)
    assert row.distinct_moves == 3
    assert row.repetition == pytest.approx(2 / 7)
    assert row.curve == (1.10, 1.10, 1.08, 1.08, 1.08, 1.08, 1.08, 1.08)
    assert (row.tokens, row.modelled_s, row.wall_s) == (700.0, 80.0, 8.0)


def test_higher_can_be_better() -> None:
    upward = replace(SEARCH, objective=Objective("accuracy", "maximize"))
    assert best_so_far(upward)[-1] == 1.10


def test_a_curve_ends_at_the_first_gap() -> None:
    gap = replace(SEARCH, trials=SEARCH.trials[:2] + SEARCH.trials[3:])
    assert best_so_far(gap) == (1.10, 1.10)


def test_a_search_without_a_baseline_has_no_numbers() -> None:
    empty = search_row(replace(SEARCH, trials=(), ended=""))
    assert (empty.baseline, empty.best, empty.delta, empty.curve) == (None, None, None, ())
    assert search_row(replace(SEARCH, trials=SEARCH.trials[:1])).repetition is None
    [arm] = arm_rows([search_row(SEARCH), empty])
    assert (arm.n, arm.unfinished, arm.delta_sd) == (1, 1, None)


def test_an_arm_is_the_mean_of_its_searches() -> None:
    better = replace(SEARCH, seed=2, trials=(tried(0, 1.10, "keep"), tried(1, 1.04, "keep", UP)))
    [arm, other] = arm_rows([search_row(SEARCH), search_row(better), search_row(
        replace(SEARCH, arm="B", ended="")
    )])  # fmt: skip
    assert arm.n == 2
    assert arm.delta == pytest.approx(-0.04)
    assert arm.delta_sd == pytest.approx(0.02 * 2**0.5)  # deltas -0.02 and -0.06
    assert (arm.kept, arm.discarded, arm.failed) == (3, 3, 2)
    assert arm.distinct_moves == 2
    assert arm.repetition == pytest.approx(1 / 7)
    assert (other.n, other.unfinished) == (1, 1)


def test_a_refuted_best_is_taken_back_and_a_retest_is_no_best() -> None:
    again = Tried(2, 1.30, "discard", frozenset(), retest_of=1)
    stands = Tried(4, 0.90, "keep", frozenset(), retest_of=3)
    trials = (
        tried(0, 1.10, "keep"),
        tried(1, 1.00, "keep", UP),
        again,
        tried(3, 1.05, "keep", UP),
        stands,
    )
    search = replace(SEARCH, trials=trials)
    assert best_so_far(search) == (1.10, 1.00, 1.10, 1.05, 1.05)
    row = search_row(search)
    assert (row.kept, row.discarded, row.trials) == (2, 0, 4)


@pytest.mark.parametrize(
    ("totals", "unreached"),
    [
        ({"seed_reaches": 0.0}, True),
        ({"seed_reaches": 1.0, "confirmed_sd": 0.0}, False),  # by chance, or of a coarse metric
        ({"confirmed_sd": 0.0}, True),  # of an older version
        ({"confirmed_sd": 0.0, "confirmed_n": 1.0}, False),
        ({"confirmed_sd": 0.0, "confirmed_delta": 0.0}, False),  # the best is the baseline
        ({"confirmed_sd": 1e-9}, False),
    ],
)
def test_a_seed_that_reaches_nothing_confirms_nothing(
    totals: dict[str, float], unreached: bool
) -> None:
    told = {"confirmed_delta": -0.0043, "confirmed_n": 5.0, **totals}
    rows = [search_row(replace(SEARCH, seed=seed, totals=told)) for seed in range(6)]
    assert all(row.unreached == unreached for row in rows)
    assert all((row.confirmed_delta is None) == unreached for row in rows)
    [arm] = arm_rows([replace(row, delta=-row.seed / 10) for row in rows])
    assert (arm.delta_interval is None) == unreached
    assert arm.no_repeats.startswith("reach nothing") == unreached


def test_seeds_that_are_no_repeats_have_a_mean_and_no_interval() -> None:
    rows = [
        search_row(replace(SEARCH, seed=s, totals={"confirmed_delta": -s / 10}))
        for s in range(1, 6)
    ]
    first = replace(rows[0], fingerprint="y")
    for other in (replace(rows[1], dependent_seeds="a=b"), replace(rows[1], fingerprint="x")):
        [arm] = arm_rows([first, other, *rows[2:]])
        assert arm.confirmed_delta == pytest.approx(-0.3)
        assert arm.confirmed_interval is None
        assert arm.no_repeats
    [arm] = arm_rows(rows)
    assert arm.confirmed_interval is not None
    assert arm.no_repeats == ""
