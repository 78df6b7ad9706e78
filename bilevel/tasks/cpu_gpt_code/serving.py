"""Serves a run its batches until its script has ended, and checks the books meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bilevel.sandbox.failures import BadFrame
from bilevel.tasks.cpu_gpt.job import Job
from bilevel.tasks.cpu_gpt_code.arrays import MAX_ROWS
from bilevel.tasks.cpu_gpt_code.confinement import ConfinedRun
from bilevel.tasks.cpu_gpt_code.messages import Account, number, over, understood
from bilevel.tasks.cpu_gpt_code.pace import Watch
from bilevel.tasks.cpu_gpt_code.verdict import cheated

_MAX_WEIGHT_BYTES = 1 << 28
_TRAINING = 1.5  # times what predicting from a token costs, training on one costs at least


@dataclass
class Served:
    """The batches served to a run so far, and the modelled seconds booked for them."""

    tokens: int = 0
    batches: int = 0
    used_s: float = -1.0
    account: Account = field(default_factory=Account)

    def serve(self, run: ConfinedRun, watch: Watch, job: Job, most_s: float) -> tuple[Any, bytes]:
        """The state and the weights that the run ends with. Raises Refused, SandboxError."""
        while True:
            message, raw = run.take(_MAX_WEIGHT_BYTES)
            if "batch" not in message:
                break
            self._book(number(message.get("used_s")), most_s)
            watch.glance(self.used_s, number(message.get("calls")))
            rows = number(message["batch"])
            if not 1 <= rows <= MAX_ROWS:
                raise BadFrame(f"a batch of {rows} sequences")
            inputs, targets = job.batch(int(rows))
            self.tokens += inputs.numel()
            self.batches += 1
            tokens = np.concatenate([inputs.numpy(), targets.numpy()[:, -1:]], axis=1)
            run.give({}, tokens.astype("<u2").tobytes())
        self.account = Account.of(message)
        state = understood(message, "state")
        if self.account.modelled_s > most_s:
            raise over(self.account.modelled_s)
        if self.account.modelled_s < self.used_s:
            raise cheated("fewer operations were counted in the end than before")
        watch.glance(self.account.modelled_s, self.account.counts["calls"])
        watch.look()
        return state, raw

    def check_training(self, answering_s_per_token: float) -> None:
        """A step computes forward and backward: more than a prediction does."""
        trained_s = self.account.modelled_s / self.tokens
        if trained_s < _TRAINING * answering_s_per_token:
            raise cheated(
                f"training counted {trained_s:.2g} modelled seconds a token, predicting from one "
                f"{answering_s_per_token:.2g}; forward and backward take at least {_TRAINING:g} "
                "times as much as predicting: the counter was switched off, or tokens were taken "
                "and not used"
            )

    def _book(self, used_s: float, most_s: float) -> None:
        if not used_s > self.used_s:
            raise cheated("operations are not counted any more: the counter was switched off")
        if used_s > most_s:
            raise over(used_s)
        self.used_s = used_s
