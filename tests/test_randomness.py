"""Randomness: the same key gives the same draws, and seeds for confirmation are out of reach."""

from hypothesis import given
from hypothesis import strategies as st

from bilevel.randomness import confirmation_seed, keyed, training_seed


@given(st.integers(0), st.integers(0))
def test_no_search_can_draw_a_confirmation_seed(seed: int, repeat: int) -> None:
    assert 0 <= training_seed(seed) < 2**30 <= confirmation_seed(seed, repeat) < 2**31


def test_keys_separate_and_reproduce() -> None:
    assert keyed(1, 2, "a").random() == keyed(1, 2, "a").random()
    draws = {keyed(*key).random() for key in [(1, 2, "a"), (1, 2, "b"), (1, 21, "a"), (12, 1, "a")]}
    assert len(draws) == 4
