"""The budget inside a confined run: every operation is looked up, priced and booked, or refused.

What the script holds asks through operations of its own (`torch.ops.bilevel`), which only an
entered counter answers. It is still the script's own process: what the evaluator checks from
outside is in README.md.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable
from typing import Any, NoReturn

import torch

from bilevel.tasks.cpu_gpt_code import operations
from bilevel.tasks.cpu_gpt_code.books import (
    BATCH,
    BOOK,
    LOOK,
    STEP,
    USED,
    Booked,
    End,
    Problem,
    Serve,
    Table,
    book,
)
from bilevel.tasks.cpu_gpt_code.prices import at, price_of

globals()["__builtins__"] = dict(vars(builtins))  # its own, as in prices.py

GRACE = 0.02  # share of the budget for what comes after the last step

_push = torch._C._push_on_torch_dispatch_stack
_pop = torch._C._pop_torch_dispatch_stack
_NoOverrides = torch._C.DisableTorchFunction
_library: Any = torch.library.Library("bilevel", "DEF")  # type: ignore[no-untyped-call]
for _schema in ("batch(int rows) -> Tensor", "used() -> float", "step() -> ()"):
    _library.define(_schema)
_BATCH, _USED, _STEP = (
    getattr(torch.ops.bilevel, name).default for name in ("batch", "used", "step")
)


def table() -> Table:
    """Every overload on the list, by identity: what it is called by, its price, another one within
    an allowance (`operations.ALLOWED`), and whether it draws random numbers."""
    found: Table = {}
    for whole in torch._C._dispatch_get_all_op_names():
        space, _, rest = whole.partition("::")
        name, _, overload = rest.partition(".")
        price = price_of(name, space)
        if price is not None:
            packet = getattr(getattr(torch.ops, space), name)
            op = getattr(packet, overload or "default", None)
            if op is not None:
                draws = name.removesuffix("_") in operations.RANDOM
                allowed = at("bytes") if name == operations.ALLOWED else None
                found[id(op)] = op, op._op, price, allowed, draws
    return found


def _nothing_served(*_: Any) -> NoReturn:
    raise RuntimeError("there are no batches any more: the script has ended")


class Counter:
    """Books every operation while it is entered, and answers what the script's operations ask."""

    def __init__(
        self,
        listed: Table,
        moved: Callable[..., Problem],
        end: End,
        serve: Serve = _nothing_served,
        most_s: float = float("inf"),
    ) -> None:
        kept = book(listed, moved, end, serve, most_s)
        next(kept)
        self.ask: Callable[[Booked], Any] = kept.send
        mode: Any = types.SimpleNamespace()
        mode.__torch_dispatch__ = types.MethodType(_dispatch(self.ask), mode)
        self._mode = mode

    @property
    def used_s(self) -> float:
        return float(self.ask((USED,)))

    def __enter__(self) -> Counter:
        _push(self._mode)
        return self

    def __exit__(self, *_: Any) -> None:
        _pop(None)


def _dispatch(ask: Callable[[Booked], Any]) -> Callable[..., Any]:
    """Return the dispatch function: tracebacks of operations show its frame, which holds only
    `ask`."""

    def dispatch(
        _: Any, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is _USED:
            return ask((USED,))
        if func is _STEP or func is _BATCH:
            answer = ask((BATCH, *args) if args else (STEP,))
            return answer if args else None
        kwargs = kwargs or {}
        with _NoOverrides():
            call = ask((LOOK, func, kinds, args, kwargs))
            out = call(*args, **kwargs)
            ask((BOOK, args, kwargs, out))
        return out

    return dispatch
