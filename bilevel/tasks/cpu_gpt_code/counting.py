"""The budget inside a confined run: every operation is looked up, priced and booked, or refused.

The book is a generator: its numbers are local variables of a frame that is never shown, and no
name leads to them. What the script holds asks through operations of its own (`torch.ops.bilevel`),
which only an entered counter answers. It is still the script's own process: what the evaluator
checks from outside is in README.md.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch

from bilevel.tasks.cpu_gpt.coefficients import SECONDS_PER
from bilevel.tasks.cpu_gpt.cost import FEATURES
from bilevel.tasks.cpu_gpt_code import operations
from bilevel.tasks.cpu_gpt_code.prices import Price, at, free, instead, price_of

__builtins__ = dict(vars(builtins))  # its own, as in prices.py

GRACE = 0.02  # share of the budget for what comes after the last step
LOOK, BOOK, USED, COUNTS = range(4)  # what a book is asked

PLAIN = frozenset({torch.Tensor, torch.nn.Parameter, torch.nn.Buffer})
End = Callable[[dict[str, Any]], Any]  # ends the run with this last word, and never returns
Serve = Callable[[int, float, int], tuple[Any, int]]
"""rows, modelled seconds and calls until now -> a batch, and how many multiply-accumulates of
`operations.ALLOWED` it allows"""
Table = dict[int, tuple[Any, Any, Price, Price | None, bool]]
Booked = tuple[Any, ...]

_push = torch._C._push_on_torch_dispatch_stack
_pop = torch._C._pop_torch_dispatch_stack
_NoOverrides = torch._C.DisableTorchFunction
_library = torch.library.Library("bilevel", "DEF")
for _schema in ("batch(int rows) -> Tensor", "used() -> float", "step() -> ()"):
    _library.define(_schema)
_BATCH, _USED, _STEP = (
    *(torch.ops.bilevel.batch.default, torch.ops.bilevel.used.default),
    torch.ops.bilevel.step.default,
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


class Streams:
    """Of random numbers: each begins at the platform's seed and goes on where the last draw left
    it; where it has been set to something else in between, `moved` says so."""

    def __init__(self) -> None:
        self._state = torch._C.Generator.get_state
        self._default = torch.default_generator
        self._first = self._of(self._default)
        self._last: dict[int, tuple[Any, bytes]] = {}

    def _of(self, generator: Any) -> bytes:
        return self._state(generator).numpy().tobytes()  # type: ignore[no-any-return]

    def used(self, args: Any, kwargs: Mapping[str, Any]) -> Any:
        for given in (*args, *kwargs.values()):
            if torch._C.Generator in type(given).__mro__:
                return given
        return self._default

    def moved(self, generator: Any, func: Any) -> dict[str, str] | None:
        if generator is None:
            return None
        last = self._last.get(id(generator), (None, self._first))[1]
        return None if self._of(generator) in (last, self._first) else {"seeded": f"{func}"}

    def drawn(self, generator: Any) -> None:
        if generator is not None:
            self._last[id(generator)] = generator, self._of(generator)


def book(
    listed: Table, streams: Streams, end: End, serve: Serve | None, most_s: float
) -> Generator[Any, Booked, None]:
    """Is asked (LOOK, operation, types, arguments), and answers with what computes it, or with
    nothing and its result; then (BOOK, arguments, result). What is forbidden, or too much, ends the
    run. (COUNTS,) asks for the account, (USED,) for the modelled seconds."""
    rates = [SECONDS_PER[name] for name in FEATURES]
    counts, steps, seconds = dict.fromkeys(FEATURES, 0), 0, 0.0
    identity, add, pairs, problem = id, sum, zip, Exception
    allowed, cheap = 0, None
    name, price, generator, reply, looked = "", free, None, None, False
    while True:
        asked = yield reply
        what = asked[0]
        if what == LOOK:
            _, func, kinds, args, kwargs = asked
            known, generator, call, out = listed.get(identity(func)), None, None, None
            wrong = None
            if known is not None:
                name, (_, call, price, cheap, draws) = func, known
                generator = streams.used(args, kwargs) if draws else None
                wrong = _strange(kinds) or streams.moved(generator, func)
            elif func is _USED:
                out = seconds
            elif func is _STEP:
                steps += 1
            elif func is _BATCH and serve is not None:
                out, more = serve(args[0], seconds, counts["calls"])
                allowed += more
                counts["calls"] += 1
            else:
                wrong = _unlisted(func)
            if wrong is not None:
                end({**wrong, "counts": counts, "steps": steps})
            reply, looked = (call, out), call is not None
            asked = func = kinds = args = kwargs = known = out = None  # nothing is kept alive
        elif what == BOOK and looked:
            _, args, kwargs, out = asked
            counts["calls"] += 1
            looked = False
            try:
                amounts = price(args, kwargs, out)
                streams.drawn(generator)
            except problem as error:
                wrong = {"unpriced": f"{name}: {error}"}
                end({**wrong, "counts": counts, "steps": steps})
            if cheap is not None and amounts[0][1] <= allowed:
                allowed -= amounts[0][1]
                amounts = cheap(args, kwargs, out)
            for feature, amount in amounts:
                counts[feature] += amount if amount > 0 else 0
            seconds = add([rate * n for rate, n in pairs(rates, counts.values(), strict=True)])
            if seconds > most_s:
                end({"over": seconds, "counts": counts, "steps": steps})
            reply = asked = args = kwargs = out = generator = None
        else:
            reply = seconds if what == USED else {"counts": {**counts}, "steps": steps}


def _unlisted(func: Any) -> dict[str, str]:
    return {"unlisted": f"{func}", "instead": instead(func.name().partition("::")[2])}


def _strange(kinds: Any) -> dict[str, str] | None:
    """What is said of tensors that are not torch's own."""
    strange = [kind.__name__ for kind in kinds if kind not in PLAIN]
    return {"subclass": strange[0]} if strange else None


class Counter:
    """Books every operation while it is entered, and what the script's operations ask."""

    def __init__(
        self,
        listed: Table,
        streams: Streams,
        end: End,
        serve: Serve | None = None,
        most_s: float = float("inf"),
    ) -> None:
        kept = book(listed, streams, end, serve, most_s)
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
    """An error of an operation shows this frame, in which there is nothing but the question."""

    def dispatch(
        _: Any, func: Any, kinds: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        with _NoOverrides():
            call, out = ask((LOOK, func, kinds, args, kwargs))
            if call is not None:
                out = call(*args, **kwargs)
                ask((BOOK, args, kwargs, out))
        return out

    return dispatch
