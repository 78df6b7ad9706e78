"""The budget inside a confined run: every operation of the script is counted, in or out of a loop.

It shares its process with the script. What the evaluator checks of it from outside is in
README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from bilevel.tasks.cpu_gpt.cost import FEATURES, seconds
from bilevel.tasks.cpu_gpt.meter import count_operation

GRACE = 0.02  # share of the budget for what comes after the last step


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts every operation while it is entered; calls `over` with the modelled seconds once more
    than `most_s` are used."""

    def __init__(
        self, most_s: float = float("inf"), over: Callable[[float], None] = lambda _: None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: dict[str, int] = dict.fromkeys(FEATURES, 0)
        self._most_s = most_s
        self._over = over

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled in here, and importing the compiler takes as long as torch itself."""
        return False

    @property
    def used_s(self) -> float:
        return seconds(self.counts)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        for feature, amount in count_operation(func, args, kwargs, out):
            self.counts[feature] += amount
        self.counts["calls"] += 1
        if self.used_s > self._most_s:
            self._over(self.used_s)
        return out


class RunMeter:
    """Iterate over it to train: yields the share of the budget used, as long as another step like
    the dearest one fits. A `closed` one has no step: a model is only built."""

    def __init__(self, budget_s: float, counter: Counter, *, closed: bool) -> None:
        self.budget_s = budget_s
        self.steps = 0
        self._counter = counter
        self._closed = closed

    @property
    def used_s(self) -> float:
        """Modelled seconds since the script began."""
        return self._counter.used_s

    def __iter__(self) -> Iterator[float]:
        dearest_s = 0.0
        while not self._closed and self.used_s + dearest_s <= self.budget_s:
            before_s = self.used_s
            yield before_s / self.budget_s
            self.steps += 1
            dearest_s = max(dearest_s, self.used_s - before_s)
