"""Validation outside of the script: bits per byte of the model it handed over.

A model is any callable `model(tokens) -> logits`, tokens (batch, time) int64, logits
(batch, time, vocab) read as unnormalised. bits per byte = summed nats / (ln 2 * bytes of the
target tokens), over the first tokens of the validation split in chunks of fixed length, so it
depends neither on the script's batch sizes nor on the tokenizer.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bilevel.tasks.cpu_gpt.job import Model

VALIDATION_TOKENS = 32_768
CHUNKS_AT_ONCE = 16


class BadModel(Exception):
    """The model handed over cannot be given a value; says why."""


def bits_per_byte(
    model: Model,
    tokens: NDArray[np.uint16],
    token_bytes: NDArray[np.uint16],
    time_len: int,
) -> float:
    """val_bpb of `model`; the last, incomplete chunk is left out.

    Raises:
        BadModel: wrong shape, not finite, or a prediction that depends on later tokens.
    """
    chunks = min(VALIDATION_TOKENS, len(tokens) - 1) // time_len
    if chunks < 1:
        raise BadModel(
            f"{len(tokens)} validation tokens hold no chunk of {time_len} tokens and its next "
            "token; prepare a longer text"
        )
    used = torch.from_numpy(tokens[: chunks * time_len + 1].astype(np.int64))
    inputs, targets = used[:-1].view(chunks, time_len), used[1:].view(chunks, time_len)
    nats = 0.0
    with torch.no_grad():
        _check_causal(model, inputs[:1], len(token_bytes))
        for i in range(0, chunks, CHUNKS_AT_ONCE):
            part = inputs[i : i + CHUNKS_AT_ONCE]
            logits = _logits(model, part, len(token_bytes))
            log_probs = torch.log_softmax(logits, dim=-1)
            at_target = log_probs.gather(-1, targets[i : i + CHUNKS_AT_ONCE, :, None])
            nats -= float(at_target.double().sum())
    if not math.isfinite(nats):
        raise BadModel(f"the validation loss is {nats}; training diverged")
    target_bytes = int(token_bytes[targets.numpy().ravel()].astype(np.int64).sum())
    return nats / (math.log(2) * target_bytes)


def _logits(model: Model, tokens: Tensor, vocab_size: int) -> Tensor:
    logits = model(tokens)
    expected = (*tokens.shape, vocab_size)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BadModel(f"model(tokens {tuple(tokens.shape)}) gave {got}, expected {expected}")
    return logits.float()


def _check_causal(model: Model, tokens: Tensor, vocab_size: int) -> None:
    """Other tokens in the second half must leave predictions in the first half as they are."""
    half = tokens.shape[1] // 2
    other = tokens.clone()
    other[:, half:] = (other[:, half:] + 1) % vocab_size
    before, after = (_logits(model, t, vocab_size)[:, :half] for t in (tokens, other))
    if not torch.allclose(before, after, rtol=1e-3, atol=1e-3, equal_nan=True):
        raise BadModel("the model's predictions depend on tokens that come later")
