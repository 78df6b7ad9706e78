"""Who is compared with whom, what is refused, and what is said beside a number."""

from dataclasses import replace

import pytest

from bilevel.config.arms import CLASSICAL, Role, checks, controls, role_of, roles
from bilevel.config.files import CONF
from bilevel.report.comparisons import Comparison, comparisons, pairs
from bilevel.report.numbers import SearchRow, search_row
from bilevel.trace import Objective
from tests.bench.statistics.errors import SMALL, families
from tests.bench.statistics.shapes import SHAPES
from tests.report.test_numbers import SEARCH

ROW = replace(search_row(SEARCH), state="done", trials=30)


def arm(name: str, *deltas: float | None, first: int = 1, **other: object) -> list[SearchRow]:
    return [
        replace(ROW, arm=name, seed=first + place, confirmed_delta=delta, delta=delta, **other)  # type: ignore[arg-type]
        for place, delta in enumerate(deltas)
    ]


def headline(rows: list[SearchRow]) -> dict[tuple[str, str], Comparison]:
    made = comparisons(sorted(rows, key=lambda row: row.arm), Objective("val_bpb"))
    return {(one.arm, one.control): one for one in made if one.outcome == "confirmed delta"}


def test_arms_meet_every_control_and_no_pair_meets_twice() -> None:
    rows = [
        row for name in ("bilevel", "level1", "tabu", "sham", "tpe") for row in arm(name, -1, -2)
    ]
    assert set(headline(rows)) == {
        ("bilevel", "level1"), ("bilevel", "sham"), ("bilevel", "tpe"),
        ("tabu", "level1"), ("tabu", "sham"), ("tabu", "tpe"),
        ("sham", "level1"), ("tpe", "level1"), ("tpe", "sham"),
    }  # fmt: skip


def test_as_published_tells_explanations_apart_and_placebo_is_held_against_level1_alone() -> None:
    names = ("bilevel", "level1", "as_published", "placebo", "tpe")
    assert set(headline([row for name in names for row in arm(name, -1, -2)])) == {
        ("bilevel", "level1"), ("bilevel", "as_published"), ("bilevel", "tpe"),
        ("as_published", "level1"), ("tpe", "level1"), ("tpe", "as_published"),
        ("placebo", "level1"),
    }  # fmt: skip
    assert headline(arm("placebo", -1, -2) + arm("sham", -1, -2)).keys() == set()


def test_the_controls_are_the_arms_that_say_so() -> None:
    """Classical searches are, whatever their file says."""
    said = {path.stem for path in (CONF / "arm").glob("*.yaml") if "# Control:" in path.read_text()}
    classical = {*controls(roles(), [CLASSICAL])}
    assert {*controls(roles())} - {"level1"} - classical == said - classical
    for check in checks(roles()):
        assert "# Check:" in (CONF / "arm" / f"{check}.yaml").read_text()


def test_a_role_that_was_tracked_is_the_one_that_counts() -> None:
    """Whatever the arm is called, and whatever its file says today."""
    mine = Role("mechanism", 1).to_tag()
    rows = arm("bilevel", -3, -5) + arm("mine", -1, -2, role=mine)
    assert set(headline(rows)) == {("bilevel", "mine")}
    assert set(headline(rows + arm("level1", -1, -2, role="{}"))) == {
        *(("bilevel", "mine"), ("level1", "mine"))
    }


def test_arms_are_paired_by_seed() -> None:
    rows = arm("bilevel", -3, -5, -4) + arm("level1", -2, -1, -1, -9, first=0)
    one = headline(rows)["bilevel", "level1"]
    assert one.paired
    assert one.n == one.n_control == 3
    assert one.difference == pytest.approx((-3 - 5 - 4) / 3 - (-1 - 1 - 9) / 3)
    assert one.smallest_p == 0.25
    assert "1 seeds of one arm only, left out" in one.note
    assert one.verdict == "cannot be told"
    assert (
        one.reach
        == "corrected for 1 comparisons, 3 seeds cannot give a p below 0.25, from 6 on they can"
    )


def test_arms_without_shared_seeds_are_not_paired() -> None:
    one = headline(arm("bilevel", -3, -5, first=1) + arm("level1", -2, -1, first=11))
    assert not one["bilevel", "level1"].paired
    assert one["bilevel", "level1"].test == "all 6"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"trials": 300}, "different charged evaluations: 300 and 30"),
        ({"task": "plateau"}, "different tasks: plateau and surrogate"),
        (
            {"dependent_seeds": "a=b"},
            "seeds of bilevel share a memory (a=b) and are no independent repeats",
        ),
        ({"state": "unfinished"}, "no search of bilevel has ended"),
        ({"state": "exhausted", "trials": 12}, "different charged evaluations: 12 and 30"),
    ],
)
def test_what_is_not_alike_is_refused(other: dict[str, object], said: str) -> None:
    different = arm("bilevel", -3, -5, **other)  # type: ignore[arg-type]
    one = headline(different + arm("level1", -2, -1))["bilevel", "level1"]
    assert one.refusal == said
    assert (one.p, one.p_holm, one.interval) == (None, None, None)


def test_one_search_that_reached_a_cap_refuses_its_arm() -> None:
    rows = arm("bilevel", -3, -5) + arm("bilevel", -4, first=3, trials=12, state="exhausted")
    one = headline(rows + arm("level1", -2, -1))["bilevel", "level1"]
    assert one.refusal == "different charged evaluations: 12, 30 and 30"


def test_what_goes_on_is_left_out_and_said() -> None:
    rows = arm("bilevel", -3, -5) + arm("bilevel", -4, first=3, trials=12, state="unfinished")
    one = headline(rows + arm("level1", -2, -1))["bilevel", "level1"]
    assert one.n == 2
    assert "bilevel: 1 unfinished, left out" in one.note


def test_a_seed_that_was_not_confirmed_is_said() -> None:
    one = headline(arm("bilevel", -3, None, -4) + arm("level1", -2, -1, -1))["bilevel", "level1"]
    assert one.n == 2
    assert "bilevel: 1 without a confirmed delta" in one.note


def test_an_outcome_that_was_never_measured_is_left_out() -> None:
    rows = [replace(row, confirmed_delta=None) for name in ("a", "level1") for row in arm(name, -1)]
    assert {one.outcome for one in comparisons(rows, Objective("val_bpb"))} == {"delta"}


def test_one_seed_is_no_comparison() -> None:
    one = headline(arm("bilevel", -3) + arm("level1", -2))["bilevel", "level1"]
    assert one.refusal == "fewer than two seeds with a confirmed delta: 1 and 1"


def test_the_verdict_is_by_the_p_of_the_study() -> None:
    """Of an arm that beats its own controls, and not after a correction for the whole study."""
    n = 8
    clear = tuple(-1 - seed / 100 for seed in range(n))
    rows = arm("bilevel", *clear)
    for place, name in enumerate(("level1", "tabu", "curated", "restart", "sham")):
        rows += arm(name, *((seed + place) % 3 / 10 for seed in range(n)))
    found = headline(rows)
    one = found["bilevel", "level1"]
    assert one.p == 2 / 2**n
    assert one.p_holm == pytest.approx(3 * 2 / 2**n)
    tests = len(found)
    assert tests == 12
    assert one.p_holm_study == pytest.approx(min(1, tests * 2 / 2**n))
    assert one.verdict == "cannot be told"  # 12 * 2 / 256 is more than 5 %
    assert one.reach.endswith("from 9 on they can")
    assert all(other.verdict != "better" for other in found.values())


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_verdict_says_which_way(direction: str) -> None:
    rows = arm("bilevel", *(-1 - s / 9 for s in range(7))) + arm("level1", *[0.0] * 7)
    [one, own] = comparisons(rows, Objective("m", direction))
    assert one.p_holm_study == 2 / 2**7
    assert one.verdict == ("better" if direction == "minimize" else "worse")
    assert (own.outcome, own.verdict, own.p) == ("delta", "", one.p)  # it decides nothing


def test_fewer_than_six_pairs_are_never_told_apart_nor_planned() -> None:
    """The study of today's demo, and one of five seeds, however large the difference."""
    for n in (2, 5):
        rows = arm("bilevel", *(-9 - s for s in range(n))) + arm(
            "level1", *(s / 9 for s in range(n))
        )
        one = headline(rows)["bilevel", "level1"]
        assert one.verdict == "cannot be told"
        assert "from 6 on they can" in one.reach
        assert one.seeds_needed.observed is None or one.seeds_needed.observed >= 6
    assert headline(arm("a", -9, -8) + arm("level1", 0, 1))["a", "level1"].seeds_needed.reason


def test_pairs_that_are_equal_are_told_not_to_count() -> None:
    rows = arm("bilevel", -1, -2, *[0.0] * 8) + arm("level1", *[0.0] * 10)
    one = headline(rows)["bilevel", "level1"]
    assert (one.p, one.smallest_p, one.verdict) == (0.5, 0.5, "cannot be told")
    assert one.reach.endswith("10 seeds cannot give a p below 0.5, from 6 that differ on they can")


def test_seeds_that_reach_nothing_are_refused_a_test() -> None:
    rows = arm("bilevel", *[None] * 6, unreached=True) + arm("level1", *range(6))
    one = headline(rows)["bilevel", "level1"]
    assert one.refusal == (
        "seeds of bilevel reach nothing (measured again, all is the same to the last digit)"
    )


def test_every_classical_search_is_a_control_and_none_of_another() -> None:
    known = ("bilevel", "cmaes", "gp", "level1", "random", "tpe")
    made = pairs({name: role_of(name) for name in known})
    assert made == [
        ("bilevel", "level1"), ("bilevel", "random"), ("bilevel", "tpe"), ("bilevel", "cmaes"),
        ("bilevel", "gp"), ("random", "level1"), ("tpe", "level1"), ("cmaes", "level1"),
        ("gp", "level1"),
    ]  # fmt: skip


def test_holm_is_over_the_study_and_beside_it_over_an_arms_controls() -> None:
    deltas = {"bilevel": (-5, -7, -6, -8), "level1": (-1, -2, -1, -1), "tpe": (-6, -6, -7, -7)}
    found = headline([row for name, d in deltas.items() for row in arm(name, *d)])
    first, second = found["bilevel", "level1"], found["bilevel", "tpe"]
    assert first.p == 0.125
    assert first.p_holm == pytest.approx(2 * 0.125)
    assert second.p_holm == pytest.approx(max(0.25, second.p or 0))
    assert first.p_holm_study == pytest.approx(3 * 0.125)
    assert found["tpe", "level1"].p_holm == found["tpe", "level1"].p


def test_of_studies_without_a_difference_one_in_twenty_shows_one() -> None:
    """One in eight would, were a verdict by the tests of one arm alone."""
    _, worst, some, study = families(SMALL, SHAPES["normal"].draw, 10, 400)
    assert worst <= 0.06
    assert some > 0.08
    assert study <= 0.06
