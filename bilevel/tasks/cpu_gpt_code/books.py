"""The account of what a run has computed, which its script can neither reach nor lower.

Its state is in local variables of a suspended generator and of functions that only it holds. There
are no classes in here: whoever finds one could replace what it does.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch

from bilevel.tasks.cpu_gpt.coefficients import SECONDS_PER
from bilevel.tasks.cpu_gpt.cost import FEATURES
from bilevel.tasks.cpu_gpt_code.prices import Amounts, Price, instead

globals()["__builtins__"] = dict(vars(builtins))  # its own, as in prices.py

LOOK, BOOK, USED, COUNTS, STEP, BATCH = range(6)  # what a book is asked
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter, torch.nn.Buffer})
_GENERATOR = torch._C.Generator
_DEFAULT = torch.default_generator
_STATE = _GENERATOR.get_state
_ARRAY = torch._C.TensorBase.numpy

Table = dict[int, tuple[Any, Any, Price, Price | None, bool]]
Booked = tuple[Any, ...]
End = Callable[[dict[str, Any]], Any]  # ends the run with this last word, and never returns
Serve = Callable[[int, float, int], tuple[Any, int]]
"""rows, modelled seconds and calls until now -> a batch, and how many multiply-accumulates of
`operations.ALLOWED` it allows"""
Problem = dict[str, Any] | None


def book(
    listed: Table, moved: Callable[..., Problem], end: End, serve: Serve, most_s: float
) -> Generator[Any, Booked, None]:
    """A generator that keeps the account. Sent (LOOK, operation, types, arguments), it yields
    the function that computes the operation, or ends the run if that is forbidden; (BOOK,
    arguments, result) then enters its cost. (STEP,) and (BATCH, rows) are the script's own
    operations, (USED,) yields the modelled seconds and (COUNTS,) the account. More than `most_s`
    ends the run."""
    enter, seconds, account, batch = _tally(serve)
    identity, problem = id, Exception
    known: Any = None
    reply: Any = None
    while True:
        what, *given = yield reply
        reply, wrong = None, None
        if what == LOOK:
            func, kinds, args, kwargs = given
            known = listed.get(identity(func))
            wrong = _unlisted(func) if known is None else _strange(kinds)
            if known is not None and known[4]:
                wrong = wrong or moved(func, args, kwargs)
            reply = known and known[1]
            func = kinds = args = kwargs = None  # nothing is kept alive
        elif what == BOOK and known is not None:
            try:
                enter(known[2], known[3], given)
                if known[4]:
                    moved(None, *given[:2])
            except problem as error:
                wrong = {"unpriced": f"{known[0]}: {error}"}
            wrong = wrong or ({"over": seconds()} if seconds() > most_s else None)
            known = None
        elif what == BATCH:
            reply = batch(given[0])
        elif what in {USED, COUNTS, STEP}:
            reply = seconds() if what == USED else account(step=what == STEP)
        given = []
        if wrong is not None:
            end({**wrong, **account()})


def _tally(serve: Serve) -> tuple[Callable[..., Any], ...]:
    """Return functions that enter amounts, read seconds and the account, and take a batch."""
    rates = [SECONDS_PER[name] for name in FEATURES]
    counts, steps, allowed, used_s = dict.fromkeys(FEATURES, 0), 0, 0, 0.0

    def enter(price: Price, cheap: Price | None, given: list[Any]) -> None:
        nonlocal allowed, used_s
        counts["calls"] += 1
        amounts: Amounts = price(*given)
        if cheap is not None and amounts[0][1] <= allowed:
            allowed -= amounts[0][1]
            amounts = cheap(*given)
        for feature, amount in amounts:
            counts[feature] += max(amount, 0)
        used_s = sum([rate * n for rate, n in zip(rates, counts.values(), strict=True)])

    def seconds() -> float:
        return used_s

    def account(*, step: bool = False) -> dict[str, Any]:
        nonlocal steps
        steps += step
        return {"counts": {**counts}, "steps": steps}

    def batch(rows: int) -> Any:
        nonlocal allowed
        tokens, more = serve(rows, used_s, counts["calls"])
        allowed += more
        counts["calls"] += 1  # a batch is one
        return tokens

    return enter, seconds, account, batch


def streams() -> Callable[..., Problem]:
    """Return a check of random generators: each has to start at the platform's seed and continue
    where its last draw ended. Called with an operation before a draw, it returns a problem if
    the generator was set otherwise; called with None after it, it remembers the state."""
    last: dict[int, tuple[Any, bytes]] = {}

    def state(generator: Any) -> bytes:
        return bytes(_ARRAY(_STATE(generator)))

    def moved(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Problem:
        given = [one for one in (*args, *kwargs.values()) if _GENERATOR in type(one).__mro__]
        generator = given[0] if given else _DEFAULT
        now = state(generator)
        if func is None:
            last[id(generator)] = generator, now
            return None
        known = last.get(id(generator), (None, first))[1]
        return None if now in (known, first) else {"seeded": f"{func}"}

    first = state(_DEFAULT)
    return moved


def _unlisted(func: Any) -> Problem:
    return {"unlisted": f"{func}", "instead": instead(func.name().partition("::")[2])}


def _strange(kinds: Any) -> Problem:
    """Return the problem of tensors whose types are not torch's own."""
    strange = [kind.__name__ for kind in kinds if kind not in _PLAIN]
    return {"subclass": strange[0]} if strange else None
