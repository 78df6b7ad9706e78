"""Runs a mechanism in two workers, and reports only what both of them agree on.

Whatever a mechanism must not depend on differs in the second worker: the seeds of global
generators, the order of sets, the clocks. So a dependence is noticed every time, and not by luck.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from bilevel import syntax
from bilevel.admission.names import unsteady
from bilevel.admission.refusal import Refused
from bilevel.sandbox.confined_mechanism import ConfinedMechanism
from bilevel.sandbox.worker_handle import ELSEWHERE, HERE, Surroundings

T = TypeVar("T")
_SHOWN = 4  # places in a reason
_TWICE = (
    "a second worker, given the same, did otherwise; draw from view.rng only, and decide and write "
    "by nothing but the view and what the hooks were given (no clock, no id(), no address in the "
    "text of an object, no global generator)"
)
_UNSAID = "; what it said about that was not the same in a second worker, and is left out"


class Twins:
    """Two workers with the same mechanism; `make` makes it in a worker with the given
    surroundings."""

    def __init__(self, source: str, make: Callable[[Surroundings], ConfinedMechanism]) -> None:
        """Makes both. Raises Refused."""
        self._source = source
        self._mechanisms = self._come_to([partial(make, one) for one in (HERE, ELSEWHERE)])

    @property
    def first(self) -> ConfinedMechanism:
        return self._mechanisms[0]

    def agreed(self, run: Callable[[ConfinedMechanism], T]) -> T:
        """Returns the result of a run, the same in both workers. Raises Refused where a run does,
        or where the results differ."""
        first, other = self._come_to([partial(run, one) for one in self._mechanisms])
        if first != other:
            raise Refused(self._unsteady())
        return first

    def _come_to(self, runs: Sequence[Callable[[], T]]) -> list[T]:
        made: list[T] = []
        refusals: list[Refused] = []
        for run in runs:
            try:
                made.append(run())
            except Refused as refusal:
                refusals.append(refusal)
        if not refusals:
            return made
        if len(refusals) == len(runs) and len({str(one) for one in refusals}) == 1:
            raise refusals[0]
        core = refusals[0].core
        if len(refusals) == len(runs) and core and all(one.core == core for one in refusals):
            raise Refused(core + _UNSAID)
        raise Refused(self._unsteady())

    def _unsteady(self) -> str:
        found = [f"line {line}: {what}" for line, what in unsteady(syntax.parse(self._source))]
        return f"{_TWICE}; look at {'; '.join(found[:_SHOWN])}" if found else _TWICE
