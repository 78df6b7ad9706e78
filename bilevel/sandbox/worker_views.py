"""Rebuilds the views of the loop inside the worker, from what is new since the last call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bilevel.sandbox.wire import unpack
from bilevel.trace import Trace, Trial
from bilevel.view import Ask, Asker, Brief, View

_Render = Callable[[int, Mapping[str, Any]], str]


class WorkerViews:
    """The views of every level, rebuilt in the worker; `render` and `ask` are calls to the host.

    A level is known by its depth: 0 is the loop that the mechanism is attached to, 1 the one below.
    """

    def __init__(self, render: _Render, ask: Callable[[int, str], Ask]) -> None:
        self._render, self._ask = render, ask
        self._traces: dict[int, Trace] = {}
        self._fixed: dict[int, dict[str, Any]] = {}

    def view(self, sent: Mapping[str, Any], depth: int = 0) -> View:
        if "fixed" in sent:
            self._fixed[depth] = unpack(sent["fixed"])
        kept, new = sent["trials"]
        trace = self._traces.get(depth, Trace())
        trace = trace if kept == len(trace) else Trace(trace[:kept])
        for trial in new:
            trace = trace.plus(unpack(trial))
        self._traces[depth] = trace
        below = sent["below"]
        return View(
            **self._fixed[depth],
            trace=Trace(trace[:]),  # its storage is its own: nothing done to it is remembered
            incumbent=self._trial(trace, sent["incumbent"]),
            parent=self._trial(trace, sent["parent"]),
            trials_left=sent["trials_left"],
            settings=unpack(sent["settings"]),
            render=lambda config: self._render(depth, config),
            asker=self._asker(depth),
            below=None if below is None else self.view(below, depth + 1),
            purpose=sent["purpose"],
        )

    def given(self, sent: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return a hook's arguments besides the view."""
        trace = self._traces[0]
        if "brief" in sent:
            shown, text = sent["brief"]
            return (Brief(tuple(self._trial(trace, one) for one in shown), text),)  # type: ignore[misc]
        if "candidates" in sent:
            return (tuple(unpack(sent["candidates"])),)
        return (self._trial(trace, sent["trial"]),) if "trial" in sent else ()

    def _asker(self, depth: int) -> Asker:
        return lambda level, trial, purpose: self._ask(depth, purpose)

    @staticmethod
    def _trial(trace: Sequence[Trial], sent: Any) -> Trial | None:
        """Return the trial of the trace that a number refers to; anything else is unpacked."""
        found: Trial | None = trace[sent] if isinstance(sent, int) else unpack(sent)
        return found
