"""val_bpb is a property of the model alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bilevel.tasks.cpu_gpt import evaluate
from bilevel.tasks.cpu_gpt.evaluate import BadModel, bits_per_byte
from bilevel.tasks.cpu_gpt.job import Model

VOCAB = 32
TOKENS = np.random.default_rng(1).integers(0, VOCAB, 1000).astype(np.uint16)
BYTES = np.random.default_rng(2).integers(1, 6, VOCAB).astype(np.uint16)
WEIGHTS = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(3))


def bigram(tokens: Tensor) -> Tensor:
    return WEIGHTS[tokens]


def test_a_uniform_model_pays_the_logarithm_of_the_vocabulary() -> None:
    value = bits_per_byte(lambda t: torch.zeros(*t.shape, VOCAB), TOKENS, BYTES, 16)
    targets = TOKENS[1 : 1 + 62 * 16]
    assert value == pytest.approx(len(targets) * math.log2(VOCAB) / BYTES[targets].sum())


def test_the_value_ignores_constants_added_to_logits() -> None:
    shifted = bits_per_byte(lambda t: bigram(t) + 3, TOKENS, BYTES, 16)
    assert shifted == pytest.approx(bits_per_byte(bigram, TOKENS, BYTES, 16))


def test_the_value_does_not_depend_on_how_chunks_are_batched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = []
    for at_once in (1, 5, 16, 100):
        monkeypatch.setattr(evaluate, "CHUNKS_AT_ONCE", at_once)
        values.append(bits_per_byte(bigram, TOKENS, BYTES, 16))
    assert values == pytest.approx([values[0]] * 4, rel=1e-12)


def test_only_the_first_tokens_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "VALIDATION_TOKENS", 320)
    changed = TOKENS.copy()
    changed[321:] = 0
    assert bits_per_byte(bigram, TOKENS, BYTES, 16) == bits_per_byte(bigram, changed, BYTES, 16)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda t: torch.full((*t.shape, VOCAB), math.nan), "nan"),
        (lambda t: torch.zeros(*t.shape, VOCAB - 1), "expected"),
        (lambda t: None, "NoneType"),
        (lambda t: bigram(t).flip(1), "later"),
    ],
)
def test_models_without_a_value_are_refused(model: Model, said: str) -> None:
    with pytest.raises(BadModel, match=said):
        bits_per_byte(model, TOKENS, BYTES, 16)


def test_too_few_tokens_are_refused() -> None:
    with pytest.raises(BadModel, match="longer text"):
        bits_per_byte(bigram, TOKENS[:16], BYTES, 16)
