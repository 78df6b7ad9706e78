"""Level 2: the language model reads how the search works and writes a mechanism for it.

However it is asked, the gates of admission answer a refused mechanism with the exact reason and
another attempt.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from bilevel.errors import ConfigError
from bilevel.invention import Invention
from bilevel.levels.asking_freely import AskingFreely
from bilevel.levels.context import CONTEXTS, INTERFACE
from bilevel.levels.diagnosing import Diagnosing
from bilevel.levels.framing import Framing, Words
from bilevel.levels.writing import Writer
from bilevel.llm.reply import MAX_HYPOTHESIS
from bilevel.loop.rules import PROPOSER
from bilevel.sandbox.worker_handle import Limits
from bilevel.settings import one_of
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View

_ORIGIN = "inventor"
_DIAGNOSE, _FREELY = "diagnose", "free"
FRAMINGS: Mapping[str, type[Framing]] = {_DIAGNOSE: Diagnosing, _FREELY: AskingFreely}
_JOINS = (
    "A mechanism that is admitted joins those attached, in this order, for the rest of the search; "
    "it replaces none."
)


class Inventor:
    """The proposer of level 2: proposes one mechanism a session, or none with the reason.

    `session` is how it is asked for: in four calls that begin with what holds the search back
    (`diagnose`), or in one for the best general mechanism (`free`). `domains` are fields that the
    prompt of the first suggests ideas from; the paper's prompt listed some, and its authors called
    that a limitation. `repairs` is how often a refused text may be mended. `becomes`, `turn` (one
    of `loop.rules`) and `protocol` are what the prompts say becomes of a mechanism and of what it
    proposes, and how the search below is run and judged; they have to fit how it is. `context`, one
    of `levels.context.CONTEXTS`, is what the prompts show of the platform. Raises ConfigError.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        *,
        limits: Limits,
        session: Annotated[str, *one_of(FRAMINGS)] = _DIAGNOSE,
        domains: Sequence[str] = (),
        repairs: int = 3,
        history_shown: int = 60,
        temperature: float | None = None,
        becomes: str = _JOINS,
        protocol: str = "",
        turn: str = PROPOSER,
        context: Annotated[str, *one_of(CONTEXTS)] = INTERFACE,
    ) -> None:
        if session not in FRAMINGS:
            raise ConfigError(f"session={session!r}: expected one of {', '.join(FRAMINGS)}")
        framing = FRAMINGS[session]
        writer = Writer(
            limits,
            repairs=repairs,
            temperature=temperature,
            turn=turn,
            context=context,
            system=framing.system(),
        )
        self._framing = framing(writer, Words(tuple(domains), becomes, protocol, history_shown))

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """Returns one proposal; its `mechanism` is the result of the session, admitted or not."""
        return [proposed(self.session(view, brief))]

    def session(self, view: View, brief: Brief, others: Sequence[Invention] = ()) -> Invention:
        """One session: a mechanism, admitted or not. `others` are those that were written before it
        for the same proposal, whose names it may not have."""
        return self._framing.session(view, brief, others)


def proposed(made: Invention) -> Proposal:
    """Returns the proposal of level 2 that brings what was made, or nothing with the reason."""
    return Proposal({}, made.summary[:MAX_HYPOTHESIS], _ORIGIN, mechanism=made)
