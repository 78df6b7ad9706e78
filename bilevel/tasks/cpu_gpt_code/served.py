"""What a script holds of its run: batches and the meter, both asked of the counter by operations.

Nothing in here leads to the counter: its operations are answered while it is entered, and where
it has been taken away there is no answer.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bilevel.tasks.cpu_gpt import job as seam
from bilevel.tasks.cpu_gpt_code.arrays import MAX_ROWS

_WHOLE_EVERY = 100  # batches; objects of the last few are looked at after each


class RunMeter:
    """Iterate over it to train: yields the share of the budget used, as long as another step like
    the dearest one fits. A `closed` one has no step: a model is only built."""

    def __init__(self, budget_s: float, *, closed: bool) -> None:
        self.budget_s = budget_s
        self.steps = 0
        self._closed = closed

    @property
    def used_s(self) -> float:
        """Modelled seconds since the script began."""
        return float(torch.ops.bilevel.used())

    def __iter__(self) -> Iterator[float]:
        dearest_s = 0.0
        while not self._closed and self.used_s + dearest_s <= self.budget_s:
            before_s = self.used_s
            yield before_s / self.budget_s
            self.steps += 1
            torch.ops.bilevel.step()
            dearest_s = max(dearest_s, self.used_s - before_s)


class ServedJob(seam.Job):
    """The seam that the script knows; the evaluator serves its batches."""

    def __init__(self, seed: int, vocab_size: int, time_len: int, meter: RunMeter) -> None:
        self.meter = meter  # type: ignore[assignment]
        self.seed, self.vocab_size, self.time_len = seed, vocab_size, time_len
        self.model = None
        self._batches = 0

    def batch(self, rows: int) -> tuple[Tensor, Tensor]:
        if type(rows) is not int or not 1 <= rows <= MAX_ROWS:
            raise seam.JobError(f"batch({rows!r}): expected a number of sequences, 1 to {MAX_ROWS}")
        self._batches += 1
        young = self._batches % _WHOLE_EVERY
        gc.collect(1 if young else 2)  # which is off otherwise: what it runs is counted here
        both: Any = torch.ops.bilevel.batch(rows)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    def hand_over(self, model: seam.Model) -> None:
        if self.model is not None:
            raise seam.JobError("hand_over was called twice; call it once, with the final model")
        if not isinstance(model, nn.Module):
            raise seam.JobError(f"hand_over got {type(model).__name__}, expected a torch.nn.Module")
        self.model = model
