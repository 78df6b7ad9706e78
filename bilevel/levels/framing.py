"""How a session of level 2 is put to the model: what every way of asking has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from bilevel.invention import Invention
from bilevel.levels import account
from bilevel.levels.writing import Writer
from bilevel.llm import prompts
from bilevel.llm.tables import best_so_far, described, experiment, trial_table
from bilevel.loop.behaviour import described as behaviour
from bilevel.view import Brief, View


@dataclass(frozen=True)
class Words:
    """What an inventor was set to say: the fields that ideas may come from, what becomes of a
    mechanism, the protocol of the search below, and how many of its trials are shown."""

    domains: Sequence[str]
    becomes: str
    protocol: str
    history_shown: int


class Framing(ABC):
    """One way of asking for a mechanism."""

    def __init__(self, writer: Writer, words: Words) -> None:
        self._writer, self._words = writer, words

    @staticmethod
    @abstractmethod
    def system() -> str:
        """Returns what the model is told that it is."""

    @abstractmethod
    def session(self, view: View, brief: Brief, others: Sequence[Invention]) -> Invention:
        """Asks for one mechanism, admitted or not. `others` are those that were written already
        where one proposal comes from several sessions."""

    def _search(self, view: View, brief: Brief, others: Sequence[Invention]) -> dict[str, str]:
        """Returns what is told of the search below and of the sessions before."""
        below, words = view.innermost, self._words
        baseline = below.trace[0].value if below.trace else None
        told = {
            "metric": below.objective.metric,
            "better": below.objective.wanted,
            "trials_run": str(max(0, len(below.trace) - 1)),
            "trials_left": "unlimited" if below.trials_left is None else str(below.trials_left),
            "facts": experiment(below.about, source=False),
            "baseline": "none" if baseline is None else f"{baseline:.6g}",
            "best": best_so_far(below),
            "behaviour": behaviour(below.space, below.trace, below.base),
            "history": trial_table(below.trace[-words.history_shown :], below),
            "settings": described(below.settings) or "none",
            "becomes": words.becomes,
            "attached": account.attached(view),
            "before": account.before(view, others),
            "taken": ", ".join(account.taken(view, others)) or "none so far",
            "notes": brief.text.strip() or "none",
        }
        return {**told, "searched": prompts.render_of("parts/searched", told).strip()}
