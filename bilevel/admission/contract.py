"""The fourth gate: calls every hook as a loop does, in situations that loops come into.

The pipeline is the real one, so that whatever it refuses in a search is refused here. `view.ask` is
answered by a double (see `asking`): in turn with a smallest instance of the schema, and with a
problem.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from bilevel.admission.asking import Double
from bilevel.admission.hook_errors import blamed, failure_text, unmade
from bilevel.admission.refusal import Refused, quoted
from bilevel.admission.situations import ROUNDS, Situation
from bilevel.admission.twins import Twins
from bilevel.errors import SpaceError
from bilevel.loop.acceptance import Greedy
from bilevel.loop.pipeline import Pipeline
from bilevel.loop.rounds import left
from bilevel.sandbox.confined_mechanism import NO_STATE, ConfinedMechanism
from bilevel.sandbox.failures import SandboxError
from bilevel.trace import Decision, Proposal
from bilevel.view import Brief, View

_HALF = ROUNDS // 2
_Answers = list[tuple[str, Any]]  # of one round: hook and what came of it


@dataclass
class _Legality:
    """Counts how many of a hook's candidates could be evaluated, with the first reason against
    one."""

    made: Counter[str] = field(default_factory=Counter)
    legal: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def judge(self, hook: str, view: View, candidates: Sequence[Proposal], where: str) -> None:
        for candidate in candidates:
            problem = _problem(view, candidate)
            self.made[hook] += 1
            self.legal[hook] += not problem
            if problem:
                self.first.setdefault(hook, f"{where}: {dict(candidate.changes)}: {problem}")

    def check(self) -> None:
        """Raises Refused where a hook made candidates and none could be evaluated."""
        for hook, made in self.made.items():
            if not self.legal[hook]:
                raise Refused(
                    f"all {made} candidates that {hook} made can not be evaluated, the first one "
                    f"in {self.first[hook]}; changes are {{parameter: value}} that "
                    "view.space.check(changes) takes and that differ from view.base"
                )

    def __str__(self) -> str:
        made, legal = self.made.total(), self.legal.total()
        return f"{legal} of {made} candidates legal" if made else "no candidates of its own"


def _problem(view: View, candidate: Proposal) -> str:
    """Returns why a candidate could not be evaluated, or that it changes nothing; "" if it is
    legal."""
    if candidate.problem:
        return f"it has a problem: {candidate.problem}"
    try:
        after = {**view.base, **view.space.check(candidate.changes)}
    except SpaceError as error:
        return str(error)
    return "" if after != dict(view.base) else "it changes nothing in the parent's configuration"


@dataclass(frozen=True)
class _Passed:
    """The answers of one pass through a situation, and the mechanism's state half way."""

    rounds: tuple[_Answers, ...]
    lost: tuple[str, ...]
    asked: int
    state: str = field(compare=False)  # what nothing ever shows is nobody's business


def contract(source: str, twins: Twins, situations: Sequence[Situation]) -> str:
    """Returns the gate's finding: how many hooks were called where, with what result. Raises
    Refused."""

    def passes(mechanism: ConfinedMechanism) -> tuple[list[_Passed], _Legality]:
        legality = _Legality()
        return [_passed(source, mechanism, one, legality) for one in situations], legality

    firsts, legality = twins.agreed(passes)
    legality.check()

    def restarts(mechanism: ConfinedMechanism) -> None:
        for situation, first in zip(situations, firsts, strict=True):
            rebuilt = _resumed(source, mechanism, situation, first)
            _compare(situation, first, rebuilt)

    twins.agreed(restarts)
    calls = sum(len(answers) for first in firsts for answers in first.rounds)
    return (
        f"{calls} hook calls in {len(situations)} situations ({', '.join(_names(situations))}), "
        f"{legality}; the same answers in a second worker and after a restart"
    )


_RESTARTED = "after a restart from its state it answered otherwise; "


def _kept(lost: Sequence[str]) -> str:
    """Returns advice for an author on what state is kept over a restart."""
    cannot = f"{', '.join(lost)} can not be kept over a restart; " if lost else ""
    return (
        f"{cannot}only the attributes of self are, if made of numbers, texts, lists, tuples, sets, "
        "dicts, Counter, defaultdict, deque and random.Random; compute anything else from "
        "view.trace again"
    )


def _names(situations: Sequence[Situation]) -> list[str]:
    return [situation.name for situation in situations]


def begin(source: str, mechanism: ConfinedMechanism, state: str = NO_STATE) -> None:
    """Makes the mechanism anew in its worker, from a state. Raises Refused where that fails."""
    try:
        mechanism.begin(state)
    except SandboxError as error:
        raise unmade(error, source) from None


def _passed(
    source: str, mechanism: ConfinedMechanism, situation: Situation, legality: _Legality
) -> _Passed:
    begin(source, mechanism)
    double = Double(situation.view.seed)
    rounds = _Rounds(source, mechanism, situation, double, legality)
    before = [rounds.run(number) for number in range(_HALF)]
    state, lost, asked = mechanism.state, mechanism.lost, double.asked
    after = [rounds.run(number) for number in range(_HALF, ROUNDS)]
    return _Passed((*before, *after), lost, asked, state)


def _resumed(
    source: str, mechanism: ConfinedMechanism, situation: Situation, first: _Passed
) -> tuple[_Answers, ...]:
    """Runs the second half of a situation with a mechanism restored from its state half way."""
    try:
        begin(source, mechanism, first.state)
        double = Double(situation.view.seed, first.asked)
        rounds = _Rounds(source, mechanism, situation, double, _Legality())
        return tuple(rounds.run(number) for number in range(_HALF, ROUNDS))
    except Refused as refusal:
        core = f"after a restart, {refusal.core}; {_kept(first.lost)}"
        raise Refused(f"after a restart, {refusal}; {_kept(first.lost)}", core) from None


class _Rounds:
    """Runs the hooks of one mechanism in one situation, in the order of a loop's round."""

    def __init__(
        self,
        source: str,
        mechanism: ConfinedMechanism,
        situation: Situation,
        double: Double,
        legality: _Legality,
    ) -> None:
        self._source, self._situation = source, situation
        self._double, self._legality = double, legality
        self._pipeline = Pipeline([mechanism])
        self._hooks = set(vars(type(mechanism)))
        self._name = mechanism.name

    def run(self, number: int) -> _Answers:
        """Runs one round; returns the answers of its hooks. Raises Refused where a hook fails."""
        answers: _Answers = []

        def keep(hook: str, answer: Any) -> None:
            failed = self._pipeline.ledger.last_error(self._name)
            if failed:
                core = f"{hook} {blamed(failed, self._source)}"
                reason = f"in {self._where(number)}, {failure_text(hook, failed, self._source)}"
                raise Refused(reason, core)
            if hook in self._hooks:
                answers.append((hook, answer))
                answers.extend((f"{hook}, which asked", asked) for asked in self._double.heard)
            self._double.heard.clear()

        view = self._situation.before(number, self._double.asker)
        parent = self._pipeline.parent(view, view.incumbent)
        keep("parent", parent and parent.number)
        view = replace(view, parent=parent)
        brief = self._pipeline.brief(view, Brief(view.trace))
        keep("brief", ([trial.number for trial in brief.trials], brief.text))
        made = self._pipeline.propose(view)
        keep("propose", made)
        given = [*self._situation.candidates(number, view), *made]
        kept, dropped = left(given, self._pipeline.review(view, given, batch=1))
        keep("review", (kept, dropped))
        edited = [c for c in kept if all(c.changes != g.changes for g in given)]
        self._legality.judge("propose", view, made, self._where(number))
        self._legality.judge("review", view, edited, self._where(number))
        after, trial = self._situation.after(number, self._double.asker)
        if view.trace and trial.value is not None:
            challenger = replace(trial, decision=Decision.KEEP)
            default = Greedy().accept(view, trial)
            keep("accept", self._pipeline.accept(view, challenger, default))
        keep("observe", self._pipeline.observe(after, trial))  # type: ignore[func-returns-value]
        return answers

    def _where(self, number: int) -> str:
        behind = self._situation.behind + number
        return f"the situation '{self._situation.name}' (view.trial={behind})"


def _compare(situation: Situation, first: _Passed, rebuilt: Iterable[_Answers]) -> None:
    reason = _RESTARTED + _kept(first.lost)
    for number, (one, two) in enumerate(zip(first.rounds[_HALF:], rebuilt, strict=True), _HALF):
        for (hook, answer), (other, differing) in zip_longest(one, two, fillvalue=("", "nothing")):
            if answer != differing:
                at = f"the situation '{situation.name}' (view.trial={situation.behind + number})"
                raise Refused(
                    f"in {at}, {hook or other}: {reason}; "
                    f"first {quoted(_shown(answer))}, then {quoted(_shown(differing))}",
                    reason,
                )


def _shown(answer: Any) -> str:
    if isinstance(answer, Proposal):
        rejected = f" rejected: {answer.rejected}" if answer.rejected else ""
        return f"{dict(answer.changes)} ({answer.hypothesis}){rejected}"
    if isinstance(answer, list | tuple):
        return f"[{', '.join(_shown(part) for part in answer)}]"
    return repr(answer)
