"""As published: what the reference implementation's restarts did, for the control that has them.

Its snapshots and reports (https://github.com/EdwardOptimization/Bilevel-Autoresearch, commit
2010e95) show a new runner every ten trials in the groups with level 2, and in no other.
"""

from dataclasses import replace
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.trials import whole
from bilevel.trace import Trial
from bilevel.view import Brief, View


class AsPublished(Mechanism):
    """Every `period` trials the proposer forgets, the next trial builds on the last tried one
    whether it was kept or not, and the first later trial that has a value is kept.

    The runner of arXiv 2603.23420 as it was published. Not reproduced: the extra baseline
    evaluations that one of its groups spent.
    """

    name: ClassVar[str] = "as_published"

    def __init__(self, period: int = 10) -> None:
        self.period = whole(self.name, "period", period, 1)
        self._reset = 0  # the restart after which nothing was kept yet

    def parent(self, view: View) -> int | None:
        last = self._restart(view.trial)
        if not last or view.trial != last + 1:
            return None
        tried = [t.number for t in view.trace if t.value is not None]
        return tried[-1] if tried else None

    def brief(self, view: View, brief: Brief) -> Brief:
        last = self._restart(view.trial)
        return replace(brief, trials=[t for t in brief.trials if t.number > last or last == 0])

    def accept(self, view: View, trial: Trial) -> bool | None:
        return True if self._restart(view.trial) > self._reset else None

    def observe(self, view: View, trial: Trial) -> None:
        if trial.value is not None:
            self._reset = self._restart(trial.number)

    def _restart(self, trial: int) -> int:
        """Return the last trial before the current stretch; 0 in the first one."""
        return max(0, trial - 1) // self.period * self.period
