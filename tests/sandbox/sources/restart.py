"""Restart: the proposer forgets, the search does not. Needs nothing but the words."""

from dataclasses import replace
from typing import ClassVar

from bilevel.errors import ConfigError
from bilevel.mechanism import Mechanism
from bilevel.view import Brief, View


class Restart(Mechanism):
    """Shows the proposer nothing from before the last restart, every `period` trials.

    The incumbent stays. In the published experiments every large gain followed such a loss of
    history, in all searches with mechanisms and in none without.
    """

    name: ClassVar[str] = "restart"
    carrier: ClassVar[str] = "prompt"

    def __init__(self, period: int = 10) -> None:
        if type(period) is not int or period < 1:
            raise ConfigError(f"restart: period={period!r}: expected a whole number of at least 1")
        self.period = period

    def brief(self, view: View, brief: Brief) -> Brief:
        # trial 0 is the baseline: trials 1..period are the first stretch, and so on
        last = (view.trial - 1) // self.period * self.period
        return replace(brief, trials=[t for t in brief.trials if t.number > last or last == 0])
