"""Compares two executions of one search trial by trial, to show what a change made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from bilevel.journal import Data
from bilevel.loop.activations import account
from bilevel.loop.loop import Loop
from bilevel.trace import Trial

_ANSWERS = ("reply", "outcome")


@dataclass(frozen=True)
class _Side:
    """The results of one execution; `delta` = best - baseline."""

    trials: int
    best: float | None
    delta: float | None
    mechanisms: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """The comparison of two executions. `changed` of the `compared` trials after the baseline
    differ in configuration, parent or verdict; `answers_live` were not in the recording."""

    recorded: _Side
    replayed: _Side
    compared: int
    changed: int
    first: str
    answers_recorded: int
    answers_live: int

    @property
    def share(self) -> float:
        return self.changed / self.compared if self.compared else 0.0

    @property
    def delta(self) -> float | None:
        """The replayed delta minus the recorded one; with a metric to minimise, below zero
        is better."""
        if self.replayed.delta is None or self.recorded.delta is None:
            return None
        return self.replayed.delta - self.recorded.delta


def difference(
    recorded: Loop, replayed: Loop, before: Sequence[Data], after: Sequence[Data]
) -> Difference:
    """Compares two executions, and the journals that they left."""
    pairs = list(zip(recorded.trace[1:], replayed.trace[1:], strict=False))
    changed = [(a, b) for a, b in pairs if _decided(a) != _decided(b)]
    held = {(e["kind"], e["key"], e["request"]) for e in before if e["kind"] in _ANSWERS}
    asked = [(e["kind"], e["key"], e["request"]) for e in after if e["kind"] in _ANSWERS]
    same = sum(question in held for question in asked)
    return Difference(
        recorded=_side(recorded),
        replayed=_side(replayed),
        compared=len(pairs),
        changed=len(changed),
        first=_first_change(*changed[0]) if changed else "",
        answers_recorded=same,
        answers_live=len(asked) - same,
    )


def shown(found: Difference, recorded: str, replayed: str) -> Table:
    """The comparison as a table for the console."""
    table = Table(title=f"{recorded}\nreplayed as {replayed}", title_justify="left")
    for column in ("", "trials", "best", "delta", "mechanisms"):
        table.add_column(column, justify="left" if column in ("", "mechanisms") else "right")
    for name, side in (("recorded", found.recorded), ("replayed", found.replayed)):
        table.add_row(
            name,
            str(side.trials),
            _number(side.best, ".6f"),
            _number(side.delta, "+.6f"),
            ", ".join(f"{n}: {state}" for n, state in side.mechanisms.items()) or "none",
        )
    return table


def summary_lines(found: Difference) -> list[str]:
    """Returns the comparison as lines of text: first divergence, changed decisions, difference in
    delta, and where answers came from."""
    return [
        f"first divergence: {found.first or 'none'}",
        f"changed decisions: {found.changed} of {found.compared} trials ({found.share:.0%})",
        f"difference in final delta: {_number(found.delta, '+.6f')} (n = 1 search: no evidence)",
        f"answers: {found.answers_recorded} from the recording, {found.answers_live} live",
    ]


def _side(loop: Loop) -> _Side:
    first = loop.trace[0].value if loop.trace else None
    best = None if loop.best is None else loop.best.value
    return _Side(
        trials=max(0, len(loop.trace) - 1),
        best=best,
        delta=None if best is None or first is None else best - first,
        mechanisms={one.name: account(one) for one in loop.view().mechanisms()},
    )


def _decided(trial: Trial) -> tuple[Any, ...]:
    return dict(trial.config), trial.proposal.problem, trial.parent, trial.decision


def _first_change(a: Trial, b: Trial) -> str:
    return f"trial {a.number}: recorded {_account(a)}; replayed {_account(b)}"


def _account(trial: Trial) -> str:
    what = dict(trial.proposal.changes) or trial.proposal.problem or "no change"
    return f"{what} on trial {trial.parent} -> {trial.decision}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
