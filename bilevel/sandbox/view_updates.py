"""Describes a view to the worker: what is new in it since the last call."""

from collections.abc import Sequence
from typing import Any

from bilevel.sandbox.wire import pack
from bilevel.trace import Trace, Trial
from bilevel.view import Brief, View


class ViewUpdates:
    """What one worker has been shown so far, to send only what is new; a new worker needs a new
    one."""

    def __init__(self) -> None:
        self._shown: dict[int, list[Trial]] = {}
        self._fixed: dict[int, tuple[Any, ...]] = {}

    def view(self, view: View, depth: int = 0) -> dict[str, Any]:
        sent = {
            "trials": self._news(view.trace, depth),
            "incumbent": _reference(view.trace, view.incumbent),
            "parent": _reference(view.trace, view.parent),
            "trials_left": view.trials_left,
            "settings": pack(view.settings),
            "purpose": view.purpose,
            "below": None if view.below is None else self.view(view.below, depth + 1),
        }
        fixed = (
            *(view.level, view.seed, view.objective, view.space, view.settings_space),
            *(view.about, view.since),
        )
        if self._fixed.get(depth) != fixed:
            names = ("level", "seed", "objective", "space", "settings_space", "about", "since")
            sent["fixed"] = {n: pack(v) for n, v in zip(names, fixed, strict=True)}
            self._fixed[depth] = fixed
        return sent

    def _news(self, trace: Trace, depth: int) -> list[Any]:
        """Return how many trials shown before are still in the trace, and those that follow."""
        shown = self._shown.setdefault(depth, [])
        same = min(len(shown), len(trace))
        if same and shown[same - 1] is not trace[same - 1]:
            same = 0
        new = trace[same:]
        shown[same:] = new
        return [same, [pack(trial) for trial in new]]


def given(trace: Trace, *things: Any) -> dict[str, Any]:
    """Return a hook's arguments besides the view, packed."""
    for thing in things:
        if isinstance(thing, Brief):
            return {"brief": [[_reference(trace, t) for t in thing.trials], thing.text]}
        if isinstance(thing, Trial):
            return {"trial": _reference(trace, thing)}
        return {"candidates": [pack(candidate) for candidate in thing]}
    return {}


def _reference(trace: Trace, trial: Trial | None) -> Any:
    if trial is not None and trial.number < len(trace) and trace[trial.number] is trial:
        return trial.number
    return pack(trial)


def shown_again(view: View, brief: Brief, numbers: Sequence[int], text: str) -> Brief:
    """Return the brief that a mechanism made, with the host's own trials in place of its copies.

    Raises ValueError.
    """
    known = {trial.number: trial for trial in (*view.trace, *brief.trials)}
    unknown = [number for number in numbers if number not in known]
    if unknown:
        raise ValueError(f"trial {unknown[0]!r} is not in the trace of {len(view.trace)}")
    return Brief([known[number] for number in numbers], text)
