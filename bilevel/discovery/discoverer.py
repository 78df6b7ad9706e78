"""The proposer of a search of mechanisms: it asks a model for the best general one it can write.

Asked freely, as a session of level 2 may be; there one search is at stake, here a suite of tasks.
"""

from collections.abc import Sequence
from typing import Annotated

from bilevel.discovery.accounts import MECHANISM, incumbent, texts, tried
from bilevel.discovery.archive import parents
from bilevel.errors import ConfigError
from bilevel.levels.asking_freely import system, written_freely
from bilevel.levels.context import CONTEXTS, INTERFACE
from bilevel.levels.writing import Writer
from bilevel.llm.reply import MAX_HYPOTHESIS
from bilevel.llm.tables import experiment
from bilevel.loop.rules import TAKE_TURNS
from bilevel.sandbox.worker_handle import Limits
from bilevel.settings import Whole, one_of
from bilevel.space import SearchSpace
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View

SCORES, ARCHIVE, GATES, NOTHING = "scores", "archive", "gates", "nothing"
_ORIGIN = "discoverer"
JUDGED = "measurements on many tasks that you have not seen"
_WANTED = {
    SCORES: " Change, replace or combine what stands now, one idea at a time, so that its "
    "measurement tells whether the idea is good.",
    ARCHIVE: " Combine what is best in the texts above, or change one of them; each does something "
    "else than the other.",
    GATES: " Write something else than what was tried.",
    NOTHING: "",
}


class Discoverer:
    """A proposer for `Suite`: one call that writes a mechanism, then repairs while the gates
    refuse it.

    `reads` is what it is told of the search: `scores` (the incumbent's text, gains by task, paired
    differences of what was tried), `archive` (two texts of different behaviour in the incumbent's
    place, as in LLaMEA and FunSearch, and the differences), `gates` (what was tried and
    whether the gates let it through, no score), or `nothing` (independent samples). `repairs` is
    how often a refused text may be mended, `context` what is shown of the platform. Raises
    ConfigError.
    """

    settings = NO_SETTINGS
    edits_texts = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        limits: Limits,
        reads: Annotated[str, *one_of((SCORES, ARCHIVE, GATES, NOTHING))] = SCORES,
        repairs: Whole = 3,
        temperature: float | None = None,
        context: Annotated[str, *one_of(CONTEXTS)] = INTERFACE,
    ) -> None:
        if [parameter.name for parameter in space.active] != [MECHANISM]:
            raise ConfigError("this arm writes mechanisms, which task=suite judges: add task=suite")
        self._reads = reads
        self._writer = Writer(
            limits,
            repairs=repairs,
            temperature=temperature,
            turn=TAKE_TURNS,
            context=context,
            system=system(JUDGED),
        )

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """One text, admitted or not: one that is not makes a failed trial with the gate's reason.
        It replaces the text of whatever it builds on."""
        values = self._shown(view, brief)
        answer, made = written_freely(self._writer, view, "discover", values)
        if made is None:
            return [Proposal({}, origin=_ORIGIN, prompt=answer.prompt, problem=answer.problem)]
        changes, idea = {MECHANISM: made.source}, made.behaviour[:MAX_HYPOTHESIS]
        return [Proposal(changes, idea, _ORIGIN, answer.prompt, mechanism=made)]

    def _shown(self, view: View, brief: Brief) -> dict[str, str]:
        reads = self._reads
        notes = f"\n\n{brief.text.strip()}" if brief.text.strip() else ""
        scored = reads in (SCORES, ARCHIVE)
        past = "Not shown." if reads == NOTHING else tried(view, scores=scored)
        shown = {
            SCORES: lambda: incumbent(view),
            ARCHIVE: lambda: texts(view, parents(view.for_("discover/parents"))),
        }
        return {
            "facts": experiment(view.about, source=False),
            "incumbent": shown.get(reads, lambda: "Not shown.")(),
            "tried": past + notes,
            "wanted": _WANTED[reads],
        }
