"""Processor time beside modelled time: the kernel's clock of a run, and the unedited script's pace.

A counter inside a run can be fooled; the kernel's clock, read from outside, cannot. What a script
computes beside the counter shows in it, and how much a second of this machine is worth now is told
by the unedited script, counted in the same way.
"""

from __future__ import annotations

import time
from typing import Any, NoReturn

import torch

from bilevel.errors import TaskError
from bilevel.tasks.cpu_gpt import train
from bilevel.tasks.cpu_gpt_code.books import streams
from bilevel.tasks.cpu_gpt_code.confinement import ConfinedRun
from bilevel.tasks.cpu_gpt_code.counting import Counter, table
from bilevel.tasks.cpu_gpt_code.verdict import RunRefused
from bilevel.trace import FailureKind

_ROWS = 16  # a micro-batch of the unedited script
_TIMES = 3
_BETWEEN_S = 0.25  # from one look at the kernel's clock to the next
_START_S = 3.5  # modelled, for what a run does beside: imports, the end of a script
_CALL_S = 5e-6  # and beside each operation: Python, autograd, counting


class Pace:
    """Processor seconds per modelled second of the unedited script, on this machine. A new
    measurement counts only where it is slower: the machine may have become busy."""

    def __init__(self, vocab_size: int, time_len: int) -> None:
        torch.set_num_threads(1)
        self._time_len = time_len
        self._tokens = torch.arange(_ROWS * time_len).view(_ROWS, time_len) % vocab_size
        with torch.random.fork_rng():
            self._model = train.GPT(vocab_size, time_len)
            self._step()  # what is slower the first time
        self.ratio = 0.0
        self.measure()

    def measure(self) -> None:
        with Counter(table(), streams(), _end) as counter:
            started_s = time.thread_time()
            for _ in range(_TIMES):
                self._step()
            passed_s = time.thread_time() - started_s
        self.ratio = max(self.ratio, passed_s / counter.used_s)

    def allows_s(self, modelled_s: float, calls: float, factor: float) -> float:
        return self.ratio * (_START_S + factor * modelled_s + _CALL_S * calls)

    def _step(self) -> None:
        muon, adams = train.optimisers(self._model)
        self._model.zero_grad()
        self._model.loss(self._tokens, self._tokens.roll(1, 1)).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            muon.step(1.0, 0.0)
            for adam in adams:
                adam.step(1.0)


class Watch:
    """A watch over one run's processor time. `spent_s` is what the kernel had counted at the
    last look."""

    def __init__(self, run: ConfinedRun, pace: Pace, factor: float) -> None:
        self._run, self._pace, self._factor = run, pace, factor
        self._began_s = run.cpu_s
        self._modelled_s = self._calls = self._looks_at = 0.0
        self.spent_s = self.allowed_s = 0.0

    def glance(self, modelled_s: float, calls: float) -> None:
        """Looks, unless it did so just now; the arguments are booked so far."""
        self._modelled_s, self._calls = modelled_s, calls
        if time.monotonic() >= self._looks_at:
            self.look()
            self._looks_at = time.monotonic() + _BETWEEN_S

    def look(self) -> None:
        """Raises RunRefused where the run took more processor time than its booked operations
        explain, even at the slowest pace measured now."""
        self.spent_s = self._run.cpu_s - self._began_s
        for measured in range(_TIMES):
            if measured:
                self._pace.measure()
            self.allowed_s = self._pace.allows_s(self._modelled_s, self._calls, self._factor)
            if self.spent_s <= self.allowed_s:
                return
        raise RunRefused(FailureKind.TIMEOUT, too_long(self._factor))


def too_long(factor: float) -> str:
    """Return the reason for a refusal, without the measured times, which differ between runs and
    are in the verdict's clock."""
    return (
        f"more processor time than {factor:g} times what the unedited script takes for as many "
        "modelled seconds, and something for imports and calls: work that is not counted as torch "
        "operations (numpy, Python loops) is bounded too, and so are operations that are slower "
        "than their price; task.cpu_factor is how many times"
    )


def _end(message: dict[str, Any]) -> NoReturn:
    raise TaskError(f"the unedited script cannot be counted: {message}")
