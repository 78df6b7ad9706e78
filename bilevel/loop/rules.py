"""Named rules for what a search does and how the effects of its mechanisms are counted.

A changed rule gets a new name, so that a journal is read under the rules it was written under.
"""

from dataclasses import dataclass
from typing import Annotated

from bilevel.settings import one_of

OUTCOME, HOOK = "outcome", "hook"
TAKE_TURNS, ALTERNATE, PROPOSER = "take_turns", "alternate", "proposer"
LIVE, TURN = (OUTCOME, HOOK), (TAKE_TURNS, ALTERNATE, PROPOSER)


@dataclass(frozen=True)
class Rules:
    """`live`: a hook call counts as a decision if the round came out otherwise than it would have
    without it (`outcome`), or if it changed what it was given (`hook`, until November 2026).

    `turn`: of the rounds in which mechanisms propose, every other one is theirs, the first of
    whoever had the fewest turns. There the proposer is asked only for places that they leave
    (`take_turns`), or always, its candidates behind theirs (`alternate`). Or theirs stand behind
    the proposer's in all rounds (`proposer`). The last two were the rule until November 2026.
    """

    live: Annotated[str, *one_of(LIVE)] = OUTCOME
    turn: Annotated[str, *one_of(TURN)] = TAKE_TURNS
