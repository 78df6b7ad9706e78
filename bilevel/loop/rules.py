"""Named rules for what a search does and how the effects of its mechanisms are counted.

A changed rule gets a new name, so that a journal is read under the rules it was written under.
"""

from dataclasses import dataclass
from typing import Annotated

from bilevel.settings import one_of

OUTCOME, HOOK = "outcome", "hook"
ALTERNATE, PROPOSER = "alternate", "proposer"
LIVE, TURN = (OUTCOME, HOOK), (ALTERNATE, PROPOSER)


@dataclass(frozen=True)
class Rules:
    """`live`: a hook call counts as a decision if the round came out otherwise than it would have
    without it (`outcome`), or if it changed what it was given (`hook`, until November 2026).

    `turn`: of the rounds in which mechanisms propose, every other one begins with theirs, the
    first with whoever had the fewest turns (`alternate`); or they stand behind the proposer's
    (`proposer`, until November 2026).
    """

    live: Annotated[str, *one_of(LIVE)] = OUTCOME
    turn: Annotated[str, *one_of(TURN)] = ALTERNATE
