"""From a model's answers to bits per byte, and whether each of them was given without the future.

Everything here runs outside of the confined process. `Ask` is the only way to the model: tokens
(rows, time) there, logits (rows, time, vocabulary) back.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bilevel.errors import TaskError
from bilevel.tasks.cpu_gpt.evaluate import CHUNKS_AT_ONCE, VALIDATION_TOKENS
from bilevel.tasks.cpu_gpt_code.verdict import cheated

Ask = Callable[[NDArray[np.int64]], NDArray[np.float32]]
_CUTS = 2  # how often each chunk is asked again without its future
_TOLERANCE_NATS = 1e-3  # by which two answers to the same past may differ


@dataclass(frozen=True)
class Chunks:
    """The validation tokens in rows, and the token that follows each."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]

    @classmethod
    def of(cls, tokens: NDArray[np.uint16], time_len: int) -> Chunks:
        """Return as many rows as `cpu_gpt` uses; the last, incomplete one is left out. Raises
        TaskError."""
        rows = min(VALIDATION_TOKENS, len(tokens) - 1) // time_len
        if rows < 1:
            raise TaskError(
                f"{len(tokens)} validation tokens hold no chunk of {time_len} tokens and its next "
                "token; prepare a longer text"
            )
        used = tokens[: rows * time_len + 1].astype(np.int64)
        return cls(used[:-1].reshape(rows, time_len), used[1:].reshape(rows, time_len))


def groups(order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for at in range(0, len(order), CHUNKS_AT_ONCE):
        yield order[at : at + CHUNKS_AT_ONCE]


def _log_probs(
    ask: Ask, inputs: NDArray[np.int64], targets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each target's log-probability, from logits that are normalised here."""
    logits = torch.from_numpy(ask(inputs))
    picked = torch.log_softmax(logits, dim=-1).gather(-1, torch.from_numpy(targets)[:, :, None])
    found: NDArray[np.float64] = picked[:, :, 0].double().numpy()
    return found


def answers(ask: Ask, chunks: Chunks) -> NDArray[np.float64]:
    """The log-probability of every target, in order."""
    order = np.arange(len(chunks.inputs))
    parts = [_log_probs(ask, chunks.inputs[g], chunks.targets[g]) for g in groups(order)]
    return np.concatenate(parts)


def bits_per_byte(
    found: NDArray[np.float64], chunks: Chunks, token_bytes: NDArray[np.uint16]
) -> float:
    target_bytes = int(token_bytes[chunks.targets.ravel()].astype(np.int64).sum())
    return -float(found.sum()) / (math.log(2) * target_bytes)


def check_past(
    ask: Ask, chunks: Chunks, found: NDArray[np.float64], vocab_size: int
) -> dict[str, float]:
    """Asks another process with the same weights for the same answers, never showing it the token
    that is predicted next at a cut, nor any later one. Raises Refused where an answer differs.

    The cuts follow from the answers, so nobody can know them when answering. A chunk's later cuts
    come after its earlier ones, and chunks in another order and company than the first time: a
    model that remembers what it was asked before has nothing to remember.
    """
    rng = np.random.default_rng(list(hashlib.sha256(found.tobytes()).digest()))
    rows, time_len = chunks.inputs.shape
    cuts = np.sort(rng.integers(1, time_len + 1, size=(rows, _CUTS)), axis=1)
    places, worst, compared = np.arange(time_len), 0.0, 0
    for cut in cuts.T:
        for group in groups(rng.permutation(rows)):
            past = places[None, :] < cut[group, None]
            other = rng.integers(0, vocab_size, size=past.shape)
            shown = np.where(past, chunks.inputs[group], other)
            again = _log_probs(ask, shown, chunks.targets[group])
            apart = np.abs(again - found[group])[past]
            largest = float(apart.max())  # nan, where an answer is no number
            if not largest <= _TOLERANCE_NATS:
                raise cheated(
                    "the model does not give the same prediction for the same past: in a fresh "
                    "process with the same parameters and buffers, with other future tokens and "
                    f"in another order, a log-probability differed by {largest:.3g}. Predictions "
                    "may depend on earlier tokens of the same sequence, on parameters and on "
                    "buffers, and on nothing else"
                )
            worst = max(worst, largest)
            compared += int(past.sum())
    return {"cuts": float(cuts.size), "compared": float(compared), "worst_difference": worst}
