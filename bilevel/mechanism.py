"""The six hooks by which a mechanism changes how a loop searches."""

import inspect
from collections.abc import Sequence
from typing import ClassVar

from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View

CARRIERS = (
    "code",
    "prompt",
    "skill",
    "workflow",
    "evaluator",
    "principle",
    "world model",
    "memory schema",
)
HOOKS = ("parent", "brief", "propose", "review", "accept", "observe")


class Mechanism:
    """Override what is needed; every hook below is called at its step and does nothing by default.

    A mechanism sees only the view it is given and keeps its own state; it never touches the
    metric. `carrier` is one of CARRIERS and says what the idea is made of.
    """

    name: ClassVar[str] = ""
    carrier: ClassVar[str] = "code"

    def parent(self, view: View) -> int | None:
        """The number of the trial to build on, or None for no opinion."""
        return None

    def brief(self, view: View, brief: Brief) -> Brief:
        """What the proposer will read."""
        return brief

    def propose(self, view: View) -> Sequence[Proposal]:
        """Candidates beside the proposer's."""
        return ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        """The candidates ordered, edited or dropped (`candidate.reject(reason)`)."""
        return candidates

    def accept(self, view: View, trial: Trial) -> bool | None:
        """Keep or discard the round's best trial, or None for no opinion."""
        return None

    def observe(self, view: View, trial: Trial) -> None:
        """Told of every trial, after its decision."""

    def close(self) -> None:
        """Gives up what it holds; a call after that may take it up again."""
        return

    def source(self) -> str:
        """The text that it is written in."""
        return inspect.getsource(inspect.getmodule(self) or type(self))
