"""Budgets in modelled seconds: counts what a training step computes and charges it by a model."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bilevel.errors import BadInput
from bilevel.tasks.cpu_gpt.cost import FEATURES, seconds

MAX_STEP_BUDGETS = 10  # a first step that costs more budgets than this ends the run

_BATCHED = {"bmm", "baddbmm"}
_UNTOUCHED = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
_INDEXED = {"embedding", "gather", "index", "index_select", "take", "take_along_dim"}
_INDEXED_WRITE = {"scatter", "scatter_", "scatter_add", "scatter_add_", "index_put_", "index_add_"}
_SLOW = {
    "tanh", "erf", "erfinv", "gelu", "gelu_backward", "sin", "cos", "tan", "pow", "log", "log2",
    "log1p", "expm1", "atan", "atan2", "softplus", "mish", "normal", "uniform", "randn", "rand",
    "bernoulli", "native_dropout", "exponential", "randint", "randperm", "sort", "topk", "cumsum",
}  # fmt: skip


class BudgetError(BadInput):
    """The budget cannot be kept: a single step is far dearer than all of it."""


class OpCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what every dispatched operation computes, whichever code calls it."""

    def __init__(self, limit_s: float = float("inf")) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: dict[str, int] = dict.fromkeys(FEATURES, 0)
        self._limit_s = limit_s

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
        if seconds(self.counts) > self._limit_s:
            raise BudgetError(
                f"a single training step costs more than {self._limit_s:g} modelled seconds, "
                f"{MAX_STEP_BUDGETS} times the budget; make the batch or the model smaller"
            )
        return out


def count_operation(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> Iterator[tuple[str, int]]:
    """(feature, amount) for one dispatched operation."""
    packet = func._overloadpacket
    name = packet.__name__
    if packet in flop_registry:
        flops = flop_registry[packet](*args, **kwargs, out_val=out)
        yield ("bmm_macs" if name in _BATCHED else "mm_macs"), int(flops) // 2
    elif name not in _UNTOUCHED and not _is_view(func):
        touched = _touched_bytes(name, args, kwargs, out)
        base = name.removesuffix("_")
        softmax = "softmax" in base or base == "exp"
        feature = "slow_bytes" if base in _SLOW else "softmax_bytes" if softmax else "bytes"
        yield feature, touched


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return bool(returns) and all(
        r.alias_info is not None and not r.alias_info.is_write for r in returns
    )


def _touched_bytes(name: str, args: Any, kwargs: Any, out: Any) -> int:
    given, made = _bytes_of((args, dict(kwargs))), _bytes_of(out)
    if name in _INDEXED:
        return 2 * made
    if name in _INDEXED_WRITE:
        return given - made
    return given + made


def _bytes_of(tree: Any) -> int:
    return sum(
        t.numel() * t.element_size() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)
    )


class Meter:
    """Iterate over it to train: yields the share of the budget used, until no step fits.

    The first step is counted and every later one charged the same, since shapes do not change
    between steps; `count_every_step` counts them all. Not counted: work outside of the loop, work
    in other threads, and anything that is not a torch operation.
    """

    def __init__(self, budget_s: float, *, count_every_step: bool = False) -> None:
        if not budget_s > 0:
            raise BudgetError(f"budget_s={budget_s}; expected modelled seconds above 0")
        self.budget_s = budget_s
        self.count_every_step = count_every_step
        self.used_s = 0.0
        self.step_s = 0.0
        self.steps = 0
        self.counts: dict[str, int] = dict.fromkeys(FEATURES, 0)
        self._steps = self._run()

    def __iter__(self) -> Iterator[float]:
        return self._steps

    def close(self) -> None:
        """Stop counting; a loop left halfway ends here."""
        self._steps.close()

    def _run(self) -> Generator[float, None, None]:
        while self.steps == 0 or self.used_s + self.step_s <= self.budget_s:
            progress = self.used_s / self.budget_s
            if self.steps == 0 or self.count_every_step:
                with OpCounter(self.budget_s * MAX_STEP_BUDGETS) as counter:
                    yield progress
                self.counts = counter.counts
                self.step_s = seconds(counter.counts)
            else:
                yield progress
            self.used_s += self.step_s
            self.steps += 1
