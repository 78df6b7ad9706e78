"""Placebo: attached, called, and changes nothing. Needs nothing but the words."""

from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.trace import Trial
from bilevel.view import View


class Placebo(Mechanism):
    """Counts the trials it was told of. The ledger must find it dead."""

    name: ClassVar[str] = "placebo"

    def __init__(self) -> None:
        self.seen = 0

    def observe(self, view: View, trial: Trial) -> None:
        self.seen += 1
