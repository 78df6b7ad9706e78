"""What a model can do to look better than it is, and how asking without the future tells."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevel.errors import TaskError
from bilevel.tasks.cpu_gpt_code.scoring import Ask, Chunks, answers, bits_per_byte, check_past
from bilevel.tasks.cpu_gpt_code.verdict import RunRefused

VOCAB, TIME = 11, 16
Tokens = NDArray[np.int64]
Logits = NDArray[np.float32]
TABLE = np.random.default_rng(1).normal(size=(VOCAB, VOCAB)).astype(np.float32)


def chunks() -> Chunks:
    tokens = np.random.default_rng(2).integers(0, VOCAB, 40 * TIME + 1)
    return Chunks.of(tokens.astype(np.uint16), TIME)


def honest() -> Ask:
    """Depends on the last two tokens."""

    def ask(tokens: Tokens) -> Logits:
        before = np.concatenate([tokens[:, :1], tokens[:, :-1]], axis=1)
        logits: Logits = TABLE[tokens] + TABLE[before]
        return logits

    return ask


def sure(tokens: Tokens, following: Tokens) -> Logits:
    logits = TABLE[tokens].copy()
    np.put_along_axis(logits, following[:, :, None], 20.0, axis=2)
    return logits


def peeking() -> Ask:
    """Reads the next token where there is one."""

    def ask(tokens: Tokens) -> Logits:
        return sure(tokens, np.concatenate([tokens[:, 1:], tokens[:, -1:]], axis=1))

    return ask


def remembering() -> Ask:
    """Reads the next token, and where it was shown this past before, what followed then."""
    seen: dict[tuple[int, ...], int] = {}

    def ask(tokens: Tokens) -> Logits:
        following = np.concatenate([tokens[:, 1:], tokens[:, -1:]], axis=1)
        for row, place in np.ndindex(tokens.shape):
            past = tuple(tokens[row, : place + 1])
            following[row, place] = seen.setdefault(past, int(following[row, place]))
        return sure(tokens, following)

    return ask


def learning() -> Ask:
    """Counts what it was asked, and predicts what is frequent: causal, but not the same model."""
    counts = np.ones(VOCAB, dtype=np.float32)

    def ask(tokens: Tokens) -> Logits:
        logits = np.broadcast_to(np.log(counts), (*tokens.shape, VOCAB)).astype(np.float32)
        np.add.at(counts, tokens.ravel(), 1.0)
        return logits

    return ask


def mixing() -> Ask:
    """Looks at the other sequences of a call, which hold what comes later."""

    def ask(tokens: Tokens) -> Logits:
        frequent = np.bincount(tokens[1:].ravel(), minlength=VOCAB).astype(np.float32)
        return TABLE[tokens] + 0.01 * frequent

    return ask


def check(first: Ask, fresh: Ask) -> dict[str, float]:
    asked = chunks()
    return check_past(fresh, asked, answers(first, asked), VOCAB)


def test_an_honest_model_passes_wherever_it_is_cut() -> None:
    checks = check(honest(), honest())
    assert checks["cuts"] == 80
    assert checks["compared"] > 80
    assert checks["worst_difference"] <= 1e-6


@pytest.mark.parametrize("make", [peeking, remembering, learning, mixing], ids=lambda f: f.__name__)
def test_what_depends_on_more_than_the_past_is_refused(make: Callable[[], Ask]) -> None:
    with pytest.raises(RunRefused, match="same prediction for the same past"):
        check(make(), make())


def silent(tokens: Tokens) -> Logits:
    """Answers that no difference can be taken to."""
    return np.full((*tokens.shape, VOCAB), np.nan, dtype=np.float32)


def silent_at_the_end(tokens: Tokens) -> Logits:
    logits: Logits = honest()(tokens)
    logits[:, 0] = np.inf
    return logits


@pytest.mark.parametrize("fresh", [honest(), silent, silent_at_the_end])
def test_a_model_that_knows_it_is_checked_is_refused(fresh: Ask) -> None:
    with pytest.raises(RunRefused, match="same prediction for the same past"):
        check(peeking(), fresh)


def test_answers_are_normalised_here() -> None:
    """Adding to logits, or claiming a probability of one for every token, gains nothing."""
    asked, sizes = chunks(), np.full(VOCAB, 2, dtype=np.uint16)

    def value(ask: Ask) -> float:
        return bits_per_byte(answers(ask, asked), asked, sizes)

    assert value(lambda t: honest()(t) + 100) == pytest.approx(value(honest()), abs=1e-4)
    even = value(lambda t: np.full((*t.shape, VOCAB), 1e6, dtype=np.float32))
    assert even == pytest.approx(np.log2(VOCAB) / 2)


def test_the_cuts_follow_from_the_answers() -> None:
    shown: list[list[Tokens]] = [[], []]

    def spy(heard: list[Tokens]) -> Ask:
        return lambda tokens: (heard.append(tokens), honest()(tokens))[1]  # type: ignore[func-returns-value]

    for heard in shown:
        check(honest(), spy(heard))
    assert all((a == b).all() for a, b in zip(*shown, strict=True))


def test_too_short_a_text_is_told() -> None:
    with pytest.raises(TaskError, match="prepare a longer text"):
        Chunks.of(np.zeros(5, dtype=np.uint16), TIME)
