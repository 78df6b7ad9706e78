"""From the baseline: every proposal builds on it, whatever was found since; a control."""

from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.view import View


class FromBaseline(Mechanism):
    """Every trial's parent is trial 0. The incumbent stands, but nothing builds on it."""

    name: ClassVar[str] = "from_baseline"

    def parent(self, view: View) -> int | None:
        return 0 if view.trace else None
