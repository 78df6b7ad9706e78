"""Elo by rounds of near equals: the sums, who meets whom, and that the better ones come first."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilevel.baselines.tournament import START, K, expected, pairs, ranked, rounds


def test_a_win_among_equals_moves_both_by_half_of_k() -> None:
    assert ranked("ab", lambda a, b: False) == [("b", START + K / 2), ("a", START - K / 2)]
    assert expected(1600, 1400) == pytest.approx(1 / (1 + 10**-0.5))
    assert expected(1600, 1400) + expected(1400, 1600) == pytest.approx(1)


def test_twenty_one_take_fifty_comparisons_and_six_take_eight() -> None:
    def asked(count: int) -> int:
        met: list[frozenset[int]] = []

        def first_wins(one: int, other: int) -> bool:
            met.append(frozenset((one, other)))
            return one < other

        ranked(range(count), first_wins)
        assert len(set(met)) == len(met)
        return len(met)

    assert [asked(count) for count in (1, 2, 3, 6, 21)] == [0, 1, 2, 8, 50]


@settings(max_examples=50, deadline=None)
@given(st.permutations(list(range(12))))
def test_the_best_comes_first_and_no_rating_is_lost(field: list[int]) -> None:
    ranking = ranked(field, lambda a, b: a > b)
    assert ranking[0][0] == max(field)
    assert sorted(one for one, _ in ranking) == list(range(12))
    assert sum(rating for _, rating in ranking) == pytest.approx(12 * START)
    assert all(a >= b for (_, a), (_, b) in pairwise(ranking))


def test_without_an_answer_no_rating_moves_and_the_order_stays() -> None:
    assert ranked("abc", lambda a, b: None) == [("a", START), ("b", START), ("c", START)]


def test_who_has_met_does_not_meet_again_and_the_last_one_sits_out() -> None:
    assert pairs([0, 1, 2, 3], {frozenset((0, 1))}) == [(0, 2), (1, 3)]
    assert pairs([0, 1, 2], set()) == [(0, 1)]
    assert pairs([0, 1], {frozenset((0, 1))}) == []
    assert [rounds(n) for n in (0, 1, 2, 3, 4, 5)] == [0, 0, 1, 2, 2, 3]
