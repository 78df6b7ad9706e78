"""Restart: the proposer forgets, the search does not; the control for what forgetting does."""

from dataclasses import replace
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.trials import whole
from bilevel.view import Brief, View


class Restart(Mechanism):
    """Shows the proposer nothing from before the last restart, every `period` trials.

    The incumbent stays. In the published experiments every large gain followed such a loss of
    history, in all searches with mechanisms and in none without.
    """

    name: ClassVar[str] = "restart"
    carrier: ClassVar[str] = "prompt"

    def __init__(self, period: int = 10) -> None:
        self.period = whole(self.name, "period", period, 1)

    def brief(self, view: View, brief: Brief) -> Brief:
        # trial 0 is the baseline: trials 1..period are the first stretch, and so on
        last = (view.trial - 1) // self.period * self.period
        return replace(brief, trials=[t for t in brief.trials if t.number > last or last == 0])
