"""How arms searched, and who led where level 1 never goes, against what was worked out by hand."""

from dataclasses import replace

import pytest

from bilevel.report.behaviour import UNTOLD, Avoided, avoided, behaviour, leader
from bilevel.report.figures.activations import shares
from bilevel.report.numbers import rows_of
from bilevel.report.origins import Origin, origins
from bilevel.report.reading import Act, Attached, Search, Study, Tried
from tests.report.test_numbers import DOWN, OTHER, SEARCH, UP, tried

NEW = ("C", "down")
REVIEW, PARENT, PROMPT = (Act("tabu", "review", "decision"), Act("elites", "parent", "decision"),
                          Act("restart", "brief", "prompt"))  # fmt: skip


def search(arm: str, seed: int, *trials: Tried, **other: object) -> Search:
    start = tried(0, 1.1, "keep")
    return replace(SEARCH, arm=arm, seed=seed, trials=(start, *trials), **other)  # type: ignore[arg-type]


def study(*searches: Search) -> Study:
    return Study("demo", "sqlite:///x", "1", searches)


LEVEL1 = (
    search("level1", 1, tried(1, 1.2, "discard", UP), tried(2, 1.0, "keep", UP)),
    search("level1", 2, tried(1, 1.2, "discard", UP), tried(2, 1.0, "keep", DOWN)),
    search("level1", 3, tried(1, 1.2, "discard", OTHER)),
)


def test_measures_of_an_arm() -> None:
    whole = study(*LEVEL1)
    [found] = behaviour(whole, rows_of(whole))
    assert found.repetition.values == (0.5, 0.0, 0.0)
    assert found.longest_streak.values == (1.0, 1.0, 1.0)
    assert found.longest_streak.interval is None  # all alike
    assert found.entropy_bits.values == pytest.approx((0.0, 1.0, 0.0))
    assert (found.first_move, found.openers) == ("A up", 3)
    assert found.agreement == pytest.approx(2 / 3)


def test_an_avoided_direction_and_what_led_there() -> None:
    second = replace(tried(3, 1.0, "keep", NEW), acts=(PROMPT, REVIEW))
    others = (
        search("tabu", 1, tried(1, 1.2, "discard", UP), tried(2, 1.2, "discard", NEW), second),
        search("tabu", 2, tried(1, 1.2, "discard", UP), replace(second, number=2)),
        search("tabu", 3, tried(1, 1.2, "discard", UP)),
    )
    [found] = avoided(study(*LEVEL1, *others))
    assert found == Avoided("C down", "tabu", 2, 3, 2, 2, "no mechanism 1, tabu (its review) 1")


def test_the_most_direct_act_leads() -> None:
    own = Act("design", "propose", "decision")
    bare = tried(1, 1.0, "keep", NEW)
    assert leader(replace(bare, acts=(PROMPT, PARENT))) == "elites (its choice of parent)"
    assert leader(replace(bare, acts=(PROMPT,))) == "restart (its prompt)"
    assert leader(replace(bare, acts=(REVIEW, own), origin="design")) == (
        "design (its own candidate)"
    )
    assert leader(replace(bare, acts=(REVIEW, own), origin="llm")) == "tabu (its review)"


def test_trials_that_do_not_tell_who_acted_credit_nobody() -> None:
    silent = (Attached("tabu", "live", counts={"review.decision": 3}),)
    [found] = avoided(
        study(*LEVEL1, search("tabu", 1, tried(1, 1.0, "keep", NEW), attached=silent))
    )
    assert found.led_by == f"{UNTOLD} 1"


def by(origin: str, *one: object) -> Tried:
    return replace(tried(*one), origin=origin)  # type: ignore[arg-type]


def test_who_proposed_and_by_how_much_it_bettered_the_best() -> None:
    lucky = replace(tried(6, 1.0, "discard"), origin="retest", retest_of=5)
    mixed = (
        search("mixed", 1, by("a", 1, 1.0, "keep"), by("b", 2, None, "fail"),
               by("b", 3, 0.7, "keep"), by("a", 4, 0.8, "keep"), by("a", 5, 0.1, "keep"), lucky),
        search("mixed", 2, by("a", 1, 1.2, "discard")),
    )  # fmt: skip
    alone = search("alone", 1, by("a", 1, 1.0, "keep"))
    b, a = origins(study(*mixed, alone))
    assert (b.gain, b.share) == pytest.approx((0.15, 0.75))
    assert b == Origin("mixed", "b", 2, 1, 1, b.gain, b.share)
    assert (a.gain, a.share) == pytest.approx((0.05, 0.25))
    assert a == Origin("mixed", "a", 4, 3, 0, a.gain, a.share)


def test_without_level1_nothing_is_avoided() -> None:
    assert avoided(study(search("tabu", 1, tried(1, 1.0, "keep", NEW)))) == ()


def test_activations_are_shares_of_the_searches_that_got_so_far() -> None:
    acting = replace(tried(1, 1.0, "keep", NEW), acts=(PROMPT, REVIEW))
    prompted = replace(tried(1, 1.0, "keep", NEW), acts=(PROMPT,))
    two = [search("a", 1, acting, replace(acting, number=2)), search("a", 2, prompted)]
    assert shares(two) == ([0.0, 0.5, 1.0], [0.0, 0.5, 0.0])


def test_seeds_that_share_a_memory_have_no_interval() -> None:
    other = (tried(1, 1.2, "discard", UP), tried(2, 1.0, "keep", DOWN), tried(3, 1.0, "fail", UP))
    for shared in ("", "a=b"):
        more = [search("level1", s, *other, dependent_seeds=shared) for s in range(2, 6)]
        whole = study(LEVEL1[0], *more)
        [found] = behaviour(whole, rows_of(whole))
        assert (found.repetition.interval is None) == bool(shared)
