"""The cost model: modelled seconds are a fixed linear function of counted operations."""

from __future__ import annotations

from collections.abc import Mapping

from bilevel.tasks.cpu_gpt.coefficients import SECONDS_PER

FEATURES = (
    "mm_macs",  # multiply-accumulates of one matrix product, convolution or attention kernel
    "bmm_macs",  # multiply-accumulates of batched products
    "bytes",  # touched by every other operation
    "softmax_bytes",  # touched by softmax, its backward and exp
    "slow_bytes",  # touched by tanh, log, random numbers, sorting and the like
    "calls",  # operations started, views included
)


def seconds(counts: Mapping[str, int]) -> float:
    """Modelled seconds of `counts`, always added in one order so that the sum has the same bits."""
    return sum(SECONDS_PER[name] * counts[name] for name in FEATURES)
