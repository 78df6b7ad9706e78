"""The fourth gate: every hook, called as a loop calls it, in situations that loops come into.

The pipeline that calls the hooks is the real one, so what it would refuse in a search is refused
here. `view.ask` is answered by a double that never calls a model: in turn a smallest instance
that satisfies the schema, and an answer with a problem, so that both paths run.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bilevel.acceptance import Greedy
from bilevel.admission.asking import Double
from bilevel.admission.situations import ROUNDS, Situation
from bilevel.admission.told import told
from bilevel.admission.verdict import Refused, quoted
from bilevel.confined import ConfinedMechanism, confine
from bilevel.errors import SpaceError
from bilevel.pipeline import Pipeline
from bilevel.rounds import left
from bilevel.sandbox.hosted import Limits
from bilevel.trace import Decision, Proposal
from bilevel.view import Brief, View

HALF = ROUNDS // 2
Answers = list[tuple[str, Any]]  # of one round: hook and what came of it


@dataclass(frozen=True)
class Passed:
    """What one pass through a situation gave, and what it left behind half way."""

    rounds: tuple[Answers, ...]
    state: Any
    lost: tuple[str, ...]
    asked: int


@dataclass
class Legality:
    """How many of a hook's candidates could be evaluated, and why the first of the others not."""

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
        """Raises Refused where a hook made nothing that can be evaluated."""
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
    """Why a candidate could not be evaluated, or would evaluate what is there already."""
    if candidate.problem:
        return f"it has a problem: {candidate.problem}"
    try:
        after = {**view.base, **view.space.check(candidate.changes)}
    except SpaceError as error:
        return str(error)
    return "" if after != dict(view.base) else "it changes nothing in the parent's configuration"


def contract(
    source: str, mechanism: ConfinedMechanism, situations: Sequence[Situation], limits: Limits
) -> str:
    """What was seen. Raises Refused."""
    legality = Legality()
    firsts = [_passed(source, mechanism, situation, legality) for situation in situations]
    legality.check()
    with confine(source, limits=limits) as again:
        for situation, first in zip(situations, firsts, strict=True):
            second = _passed(source, again, situation, Legality())
            _compare(situation, first.rounds, second.rounds, 0, TWICE)
            rebuilt = _resumed(source, again, situation, first)
            _compare(situation, first.rounds[HALF:], rebuilt, HALF, RESTARTED + _kept(first.lost))
    calls = sum(len(answers) for first in firsts for answers in first.rounds)
    return (
        f"{calls} hook calls in {len(situations)} situations ({', '.join(_names(situations))}), "
        f"{legality}; the same answers in a second worker and after a restart"
    )


TWICE = (
    "a second worker, given the same, answered otherwise; draw from view.rng only, and decide by "
    "nothing but the view and what the hooks were given (no clock, no id(), no global generator)"
)
RESTARTED = "after a restart from its state it answered otherwise; "


def _kept(lost: Sequence[str]) -> str:
    """What an author has to know of state."""
    cannot = f"{', '.join(lost)} can not be kept over a restart; " if lost else ""
    return (
        f"{cannot}only the attributes of self are, if made of numbers, texts, lists, tuples, sets, "
        "dicts, Counter, defaultdict, deque and random.Random; compute anything else from "
        "view.trace again"
    )


def _names(situations: Sequence[Situation]) -> list[str]:
    return [situation.name for situation in situations]


def _passed(
    source: str, mechanism: ConfinedMechanism, situation: Situation, legality: Legality
) -> Passed:
    mechanism.begin()
    double = Double(situation.view.seed)
    rounds = _Rounds(source, mechanism, situation, double, legality)
    before = [rounds.run(number) for number in range(HALF)]
    state, lost, asked = mechanism.state, mechanism.lost, double.asked
    after = [rounds.run(number) for number in range(HALF, ROUNDS)]
    return Passed((*before, *after), state, lost, asked)


def _resumed(
    source: str, mechanism: ConfinedMechanism, situation: Situation, first: Passed
) -> tuple[Answers, ...]:
    """The second half again, by a mechanism made from the state that the first half left."""
    mechanism.begin(first.state)
    double = Double(situation.view.seed, first.asked)
    rounds = _Rounds(source, mechanism, situation, double, Legality())
    try:
        return tuple(rounds.run(number) for number in range(HALF, ROUNDS))
    except Refused as refusal:
        raise Refused(f"after a restart, {refusal}; {_kept(first.lost)}") from None


class _Rounds:
    """The hooks of one mechanism in one situation, in the order of a loop's round."""

    def __init__(
        self,
        source: str,
        mechanism: ConfinedMechanism,
        situation: Situation,
        double: Double,
        legality: Legality,
    ) -> None:
        self._source, self._situation = source, situation
        self._double, self._legality = double, legality
        self._pipeline = Pipeline([mechanism])
        self._hooks = set(vars(type(mechanism)))
        self._name = mechanism.name

    def run(self, number: int) -> Answers:
        """Raises Refused where a hook fails."""
        answers: Answers = []

        def keep(hook: str, answer: Any) -> None:
            failed = self._pipeline.ledger.last_error(self._name)
            if failed:
                raise Refused(f"in {self._where(number)}, {told(hook, failed, self._source)}")
            if hook in self._hooks:
                answers.append((hook, answer))

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


def _compare(
    situation: Situation,
    first: Sequence[Answers],
    other: Sequence[Answers],
    since: int,
    reason: str,
) -> None:
    for number, (one, two) in enumerate(zip(first, other, strict=True)):
        for (hook, answer), (_, differing) in zip(one, two, strict=True):
            if answer != differing:
                at = situation.behind + since + number
                raise Refused(
                    f"in the situation '{situation.name}' (view.trial={at}), {hook}: {reason}; "
                    f"first {quoted(_shown(answer))}, then {quoted(_shown(differing))}"
                )


def _shown(answer: Any) -> str:
    if isinstance(answer, Proposal):
        rejected = f" rejected: {answer.rejected}" if answer.rejected else ""
        return f"{dict(answer.changes)} ({answer.hypothesis}){rejected}"
    if isinstance(answer, list | tuple):
        return f"[{', '.join(_shown(part) for part in answer)}]"
    return repr(answer)
