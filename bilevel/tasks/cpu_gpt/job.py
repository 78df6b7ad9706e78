"""The seam between a training script and its harness: what the script is given, and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bilevel.errors import TaskError
from bilevel.tasks.cpu_gpt.meter import Meter

Model = Callable[[Tensor], Tensor]
"""tokens (batch, time) int64 -> logits (batch, time, vocab), read as unnormalised."""


class JobError(TaskError):
    """A script and its harness disagree about the seam."""


@dataclass
class Job:
    """One training run: the meter, the training tokens by batch, and the model handed over."""

    meter: Meter
    seed: int
    vocab_size: int
    time_len: int
    tokens: NDArray[np.uint16] = field(repr=False)
    model: Model | None = field(default=None, repr=False)
    _order: NDArray[np.int64] = field(init=False, repr=False)
    _drawn: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        sequences = (len(self.tokens) - 1) // self.time_len
        if sequences < 1:
            raise JobError(
                f"{len(self.tokens)} training tokens hold no sequence of {self.time_len} tokens "
                "and its next token; use a longer text"
            )
        self._order = np.random.default_rng(self.seed).permutation(sequences)

    def batch(self, rows: int) -> tuple[Tensor, Tensor]:
        """The next `rows` training sequences and their next tokens, both (rows, time) int64.

        The n-th sequence of a seed is the same however sequences are grouped into batches.
        """
        picks = self._order[np.arange(self._drawn, self._drawn + rows) % len(self._order)]
        self._drawn += rows
        places = picks[:, None] * self.time_len + np.arange(self.time_len + 1)
        both = torch.from_numpy(self.tokens[places].astype(np.int64))
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    def hand_over(self, model: Model) -> None:
        """End the run: the harness validates `model` after the script has returned."""
        if not callable(model):
            raise JobError(f"hand_over got {type(model).__name__}, expected a callable model")
        self.model = model


_current: list[Job] = []


def current_job() -> Job:
    """The run this process was started for."""
    if not _current:
        raise JobError(
            "no run has been started in this process; run the script with "
            "`python -m bilevel.tasks.cpu_gpt.harness SCRIPT --seed S --budget-s B`"
        )
    return _current[-1]


def start(job: Job) -> None:
    _current[:] = [job]
