"""Replies that nobody can use are told as they come, and too many in a row end a search in time.

A model that has stopped making sense would spend a whole budget on failed trials. Only replies
that come now are told and counted: a search that is executed again has heard of its own.
"""

import re
import sys

from tqdm import tqdm

from bilevel import visible
from bilevel.errors import BudgetExhausted

_PROPOSING = re.compile(r"propose/\d")  # how a proposer's own purposes begin, and nobody else's
_SHOWN_CHARS = 200


class Unusable:
    """Counts the trials in a row, at each level, for which the proposer had no usable reply; after
    `most` of them (None, 0: never) the search stops. `title` names it on the console, where
    nothing is said unless it is `aloud`."""

    def __init__(self, most: int | None, title: str = "", aloud: bool = True) -> None:
        self._most = most
        self._title = title
        self._aloud = aloud
        self._trials: dict[float, list[int]] = {}

    def tell(self, level: float, trial: int, purpose: str, problem: str, again: bool) -> None:
        """One line on the console; what mechanisms ask is told too."""
        if not self._aloud:
            return
        line = " ".join(problem.split())
        short = line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"
        above = "" if level == 1 else f"level {level:g} "
        then = "; it is asked for again" if again else ""
        told = f"{above}trial {trial}: a reply to {purpose} cannot be used: {short}{then}"
        tqdm.write(visible.line(f"{self._title}  {told}".strip()), file=sys.stderr)

    def usable(self, level: float, purpose: str) -> None:
        if _is_proposal(purpose):
            self._trials.pop(level, None)

    def lost(self, level: float, trial: int, purpose: str, problem: str) -> None:
        """Counts a question without a usable reply. Raises BudgetExhausted, with reason and
        remedy, where it was one too many."""
        if not _is_proposal(purpose):
            return
        trials = self._trials.setdefault(level, [])
        if trial not in trials:
            trials.append(trial)
        if self._most and len(trials) >= self._most:
            raise BudgetExhausted(
                f"no reply could be used in {len(trials)} trials in a row, the last because "
                f"{' '.join(problem.split())}; what was measured is kept: look at the model and "
                "its server, then repeat the command to go on from here. llm.max_unusable=N allows "
                "N such trials, 0 any number; another model needs another study"
            )


def _is_proposal(purpose: str) -> bool:
    return _PROPOSING.match(purpose) is not None
