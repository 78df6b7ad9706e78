"""Calls the attached mechanisms at each step and records what each one changed."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from bilevel.errors import BudgetExhausted, EndpointError, JournalError
from bilevel.ledger import Effect, HookCall, Ledger, Liveness
from bilevel.mechanism import Mechanism
from bilevel.space import canonical
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View

T = TypeVar("T")
Verdict = tuple[Effect, str, str]  # the effect, what was done, what would have been done without
NO_EFFECT: Verdict = (Effect.NONE, "", "")
FAILURES_ALLOWED = 3
_log = logging.getLogger(__name__)


class Pipeline:
    """The mechanisms of one loop, in order.

    A failing hook is recorded and stepped over; after three failures its mechanism is detached,
    and its record stays.
    """

    def __init__(
        self,
        mechanisms: Sequence[Mechanism] = (),
        *,
        probation: int = 10,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.ledger = Ledger(probation)
        self._clock = clock
        self._attached: list[Mechanism] = []
        self._known: dict[str, Mechanism] = {}
        self._since: dict[str, int] = {}
        for mechanism in mechanisms:
            self.attach(mechanism, trial=0)

    @property
    def attached(self) -> tuple[Mechanism, ...]:
        return tuple(self._attached)

    @property
    def known(self) -> tuple[Mechanism, ...]:
        """Every mechanism that was ever attached, in order."""
        return tuple(self._known.values())

    def attach(self, mechanism: Mechanism, trial: int) -> None:
        """From this trial on; the trace it sees is the whole one."""
        if not mechanism.name or mechanism.name in self._known:
            taken = ", ".join(self._known) or "none"
            raise ValueError(f"a mechanism needs a name not in: {taken}; got {mechanism.name!r}")
        self._attached.append(mechanism)
        self._known[mechanism.name] = mechanism
        self._since[mechanism.name] = trial

    def detach(self, name: str) -> None:
        self._attached = [mechanism for mechanism in self._attached if mechanism.name != name]

    def liveness(self, name: str, trial: int) -> Liveness:
        return self.ledger.liveness(name, trials=trial - self._since[name])

    def _with(self, hook: str) -> list[Mechanism]:
        """The attached mechanisms that do something at this hook."""
        plain = getattr(Mechanism, hook)
        return [m for m in self._attached if getattr(type(m), hook) is not plain]

    def parent(self, view: View, default: Trial | None) -> Trial | None:
        """The trial to build on; with several opinions the last one counts."""
        chosen = default
        for mechanism in self._with("parent"):
            before = chosen

            def call(v: View, m: Mechanism = mechanism) -> Trial | None:
                return _trial(view, m.parent(v))

            def judge(named: Trial | None, before: Trial | None = before) -> Verdict:
                same = named is None or (before is not None and before.number == named.number)
                return _decision(not same, _number(named), _number(before))

            chosen = self._call(mechanism, "parent", view, call, judge) or chosen
        return chosen

    def brief(self, view: View, brief: Brief) -> Brief:
        for mechanism in self._with("brief"):
            given = brief

            def call(v: View, m: Mechanism = mechanism, b: Brief = given) -> Brief:
                return _kind(m.brief(v, b), Brief)

            def judge(made: Brief, given: Brief = given) -> Verdict:
                same = made.trials is given.trials or [*made.trials] == [*given.trials]
                if same and made.text == given.text:
                    return NO_EFFECT
                return Effect.PROMPT, _shown(made), _shown(given)

            brief = self._call(mechanism, "brief", view, call, judge) or given
        return brief

    def propose(self, view: View) -> list[Proposal]:
        """Extra candidates; whether one was evaluated is told to `evaluated` later."""
        extra: list[Proposal] = []
        for mechanism in self._with("propose"):

            def call(v: View, m: Mechanism = mechanism) -> Sequence[Proposal]:
                return _candidates(m.propose(v))

            def judge(made: Sequence[Proposal]) -> Verdict:
                return Effect.NONE, _listed(made) if made else "", ""

            made = self._call(mechanism, "propose", view, call, judge) or ()
            extra += [replace(candidate, origin=mechanism.name) for candidate in made]
        return extra

    def review(
        self, view: View, candidates: Sequence[Proposal], batch: int
    ) -> tuple[list[Proposal], list[Proposal]]:
        """The candidates that are left, and those dropped, each with the reason why."""
        kept, dropped = list(candidates), list[Proposal]()
        for mechanism in self._with("review"):
            given = tuple(kept)

            def call(
                v: View, m: Mechanism = mechanism, given: Sequence[Proposal] = given
            ) -> Sequence[Proposal]:
                return _candidates(m.review(v, given))

            def judge(made: Sequence[Proposal], given: Sequence[Proposal] = given) -> Verdict:
                first = [c for c in made if not c.rejected][:batch]
                changed = [c.changes for c in first] != [c.changes for c in given[:batch]]
                return _decision(changed, _listed(first), _listed(given[:batch]))

            made = self._call(mechanism, "review", view, call, judge)
            if made is not None:
                kept = [c for c in made if not c.rejected]
                dropped += [c for c in made if c.rejected]
                dropped += _unsaid(mechanism.name, given, made)
        return kept, dropped

    def evaluated(self, view: View, chosen: Sequence[Proposal]) -> None:
        """Credits the mechanisms whose own candidates are the ones being evaluated."""
        for proposal in chosen:
            if proposal.origin in self._known:
                did, name = _listed([proposal]), proposal.origin
                row = HookCall(view.trial, name, "propose", Effect.DECISION, did, "nothing")
                self.ledger.add(row)

    def accept(self, view: View, trial: Trial, default: bool) -> bool:
        """The first opinion counts; later ones are heard without effect."""
        decided: bool | None = None
        for mechanism in self._with("accept"):

            def call(v: View, m: Mechanism = mechanism) -> bool | None:
                opinion = m.accept(v, trial)
                return None if opinion is None else _kind(opinion, bool)

            def judge(opinion: bool | None, heard: bool = decided is None) -> Verdict:
                if opinion is None or not heard:
                    return NO_EFFECT
                return _decision(opinion != default, _kept(opinion), _kept(default))

            opinion = self._call(mechanism, "accept", view, call, judge)
            if decided is None:
                decided = opinion
        return default if decided is None else decided

    def observe(self, view: View, trial: Trial) -> None:
        """Tells everyone, and detaches whoever has failed too often."""
        for mechanism in self._with("observe"):

            def call(v: View, m: Mechanism = mechanism) -> None:
                m.observe(v, trial)

            self._call(mechanism, "observe", view, call, lambda _: NO_EFFECT, trial=trial.number)
        for mechanism in self.attached:
            if self.ledger.errors(mechanism.name) >= FAILURES_ALLOWED:
                _log.warning(
                    "mechanism %s is detached at trial %d: it failed %d times, last: %s",
                    mechanism.name,
                    trial.number,
                    FAILURES_ALLOWED,
                    self.ledger.last_error(mechanism.name),
                )
                self.detach(mechanism.name)

    def _call(
        self,
        mechanism: Mechanism,
        hook: str,
        view: View,
        call: Callable[[View], T],
        judge: Callable[[T], Verdict],
        *,
        trial: int | None = None,
    ) -> T | None:
        """The hook's answer, or None where it failed; either way a row in the ledger."""
        started = self._clock()
        answer: T | None = None
        error = ""
        effect, did, without = NO_EFFECT
        try:
            answer = call(view.for_(f"{mechanism.name}/{hook}"))
            effect, did, without = judge(answer)
        except (BudgetExhausted, EndpointError, JournalError):
            raise  # these end the search, whoever was asking
        except Exception as failure:  # generated or not, a mechanism may fail in any way
            error = f"{type(failure).__name__}: {failure}"
        if error:
            answer, effect = None, Effect.ERROR
        seconds = self._clock() - started
        at = view.trial if trial is None else trial
        self.ledger.add(HookCall(at, mechanism.name, hook, effect, did, without, error, seconds))
        return answer


def _kind(answer: object, kind: type[T]) -> T:
    if not isinstance(answer, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(answer).__name__}")
    return answer


def _trial(view: View, number: object) -> Trial | None:
    if number is None:
        return None
    if not 0 <= _kind(number, int) < view.trial:
        raise ValueError(f"{number!r} is not a trial; valid: 0 to {view.trial - 1}")
    found: Trial = view.trace[number]
    return found


def _candidates(answer: Iterable[object]) -> tuple[Proposal, ...]:
    """The candidates, each with changes that can be written down."""
    made = tuple(_kind(candidate, Proposal) for candidate in answer)
    for candidate in made:
        canonical(candidate.changes)
    return made


def _decision(changed: bool, did: str, without: str) -> Verdict:
    return (Effect.DECISION, did, without) if changed else NO_EFFECT


def _unsaid(name: str, given: Iterable[Proposal], made: Sequence[Proposal]) -> list[Proposal]:
    """Candidates that a mechanism left out without a word (an edited one is not left out)."""
    missing = [c for c in given if all(c.changes != other.changes for other in made)]
    edited = [c for c in made if all(c.changes != other.changes for other in given)]
    return [c.reject(f"dropped by {name}") for c in missing[len(edited) :]]


def _number(trial: Trial | None) -> str:
    return "none" if trial is None else f"trial {trial.number}"


def _shown(brief: Brief) -> str:
    return f"{len(brief.trials)} trials and {len(brief.text)} characters shown"


def _listed(candidates: Sequence[Proposal]) -> str:
    return "; ".join(str(dict(c.changes)) for c in candidates) or "nothing"


def _kept(kept: bool) -> str:
    return "keep" if kept else "discard"
