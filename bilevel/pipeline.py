"""Calls the attached mechanisms at each step and records what each one changed."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from bilevel.answers import (
    NO_EFFECT,
    Verdict,
    decision,
    listed,
    number_of,
    numbered,
    of_kind,
    proposals,
    shown,
    unsaid,
    verdict_of,
)
from bilevel.errors import BudgetExhausted, EndpointError, JournalError
from bilevel.journal import Journal
from bilevel.ledger import COIN, Effect, HookCall, Ledger, Liveness
from bilevel.mechanism import Mechanism
from bilevel.questions import Questions, ask_again
from bilevel.roster import Coin, Roster
from bilevel.sandbox.failures import STOPS, SandboxUnavailable
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, Standing, View

T = TypeVar("T")
FAILURES_ALLOWED = 3
STOPPED = "stopped"  # what the journal calls a hook that ran out of time or memory
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
        left_out: Collection[str] = (),
        journal: Journal | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.ledger = Ledger(probation)
        self._roster = Roster(left_out)
        self._journal = journal or Journal(None)
        self._clock = clock
        self._calls: Counter[str] = Counter()
        for mechanism in mechanisms:
            self.attach(mechanism, trial=0)

    @property
    def attached(self) -> tuple[Mechanism, ...]:
        return self._roster.attached

    @property
    def known(self) -> tuple[Mechanism, ...]:
        """Every mechanism that was ever attached, in order."""
        return self._roster.known

    def attach(self, mechanism: Mechanism, trial: int, coin: Coin | None = None) -> None:
        """From this trial on, in the rounds that the coin picks; the trace it sees is the whole
        one. Raises ValueError where it could not be told apart, or would never be called."""
        self._roster.attach(mechanism, trial, coin)

    def detach(self, name: str) -> None:
        self._roster.detach(name)

    def keep(self, name: str) -> None:
        """Its probation is over: from now on without a coin."""
        self._roster.keep(name)

    def liveness(self, name: str, trial: int) -> Liveness:
        return self.ledger.liveness(name, trials=trial - self._roster.since(name))

    def standings(self, trial: int) -> list[Standing]:
        """Every mechanism that was ever attached, as the ledger has it."""
        return [
            Standing(
                name=mechanism.name,
                carrier=mechanism.carrier,
                state=str(self.liveness(mechanism.name, trial)),
                since=self._roster.since(mechanism.name),
                attached=mechanism in self.attached,
                counts=self.ledger.counts(mechanism.name),
                error=self.ledger.last_error(mechanism.name),
            )
            for mechanism in self.known
        ]

    def close(self) -> None:
        """Ends what the mechanisms hold; their records stay."""
        for mechanism in self._roster.known:
            mechanism.close()

    def begin(self, view: View) -> None:
        """Before a round: coins are flipped, and written down."""
        for name, on in self._roster.toss(view.trial).items():
            self.ledger.add(HookCall(view.trial, name, COIN, Effect.NONE, "on" if on else "off"))

    def parent(self, view: View, default: Trial | None) -> Trial | None:
        """The trial to build on; with several opinions the last one counts."""
        chosen = default
        for mechanism in self._roster.acting("parent"):
            before = chosen

            def call(v: View, m: Mechanism = mechanism) -> Trial | None:
                return numbered(view, m.parent(v))

            def judge(named: Trial | None, before: Trial | None = before) -> Verdict:
                same = named is None or (before is not None and before.number == named.number)
                return decision(not same, number_of(named), number_of(before))

            chosen = self._call(mechanism, "parent", view, call, judge) or chosen
        return chosen

    def brief(self, view: View, brief: Brief) -> Brief:
        for mechanism in self._roster.acting("brief"):
            given = brief

            def call(v: View, m: Mechanism = mechanism, b: Brief = given) -> Brief:
                return of_kind(m.brief(v, b), Brief)

            def judge(made: Brief, given: Brief = given) -> Verdict:
                same = made.trials is given.trials or [*made.trials] == [*given.trials]
                if same and made.text == given.text:
                    return NO_EFFECT
                return Effect.PROMPT, shown(made), shown(given)

            brief = self._call(mechanism, "brief", view, call, judge) or given
        return brief

    def propose(self, view: View) -> list[Proposal]:
        """Extra candidates; whether one was evaluated is told to `evaluated` later."""
        extra: list[Proposal] = []
        for mechanism in self._roster.acting("propose"):

            def call(v: View, m: Mechanism = mechanism) -> Sequence[Proposal]:
                return proposals(m.propose(v))

            def judge(made: Sequence[Proposal]) -> Verdict:
                return Effect.NONE, listed(made) if made else "", ""

            made = self._call(mechanism, "propose", view, call, judge) or ()
            extra += [replace(candidate, origin=mechanism.name) for candidate in made]
        return extra

    def review(
        self, view: View, candidates: Sequence[Proposal], batch: int
    ) -> tuple[list[Proposal], list[Proposal]]:
        """The candidates that are left, and those dropped, each with the reason why."""
        kept, dropped = list(candidates), list[Proposal]()
        for mechanism in self._roster.acting("review"):
            given = tuple(kept)

            def call(
                v: View, m: Mechanism = mechanism, given: Sequence[Proposal] = given
            ) -> Sequence[Proposal]:
                return proposals(m.review(v, given))

            def judge(made: Sequence[Proposal], given: Sequence[Proposal] = given) -> Verdict:
                first = [c for c in made if not c.rejected][:batch]
                changed = [c.changes for c in first] != [c.changes for c in given[:batch]]
                return decision(changed, listed(first), listed(given[:batch]))

            made = self._call(mechanism, "review", view, call, judge)
            if made is not None:
                kept = [c for c in made if not c.rejected]
                dropped += [c for c in made if c.rejected]
                dropped += unsaid(mechanism.name, given, made)
        return kept, dropped

    def evaluated(self, view: View, chosen: Sequence[Proposal]) -> None:
        """Credits the mechanisms whose own candidates are the ones being evaluated."""
        for proposal in chosen:
            if proposal.origin in {mechanism.name for mechanism in self.known}:
                did, name = listed([proposal]), proposal.origin
                row = HookCall(view.trial, name, "propose", Effect.DECISION, did, "nothing")
                self.ledger.add(row)

    def accept(self, view: View, trial: Trial, default: bool) -> bool:
        """The first opinion counts; later ones are heard without effect."""
        decided: bool | None = None
        for mechanism in self._roster.acting("accept"):

            def call(v: View, m: Mechanism = mechanism) -> bool | None:
                opinion = m.accept(v, trial)
                return None if opinion is None else of_kind(opinion, bool)

            def judge(opinion: bool | None, heard: bool = decided is None) -> Verdict:
                if opinion is None or not heard:
                    return NO_EFFECT
                return decision(opinion != default, verdict_of(opinion), verdict_of(default))

            opinion = self._call(mechanism, "accept", view, call, judge)
            if decided is None:
                decided = opinion
        return default if decided is None else decided

    def observe(self, view: View, trial: Trial) -> None:
        """Tells everyone, and detaches whoever has failed too often."""
        for mechanism in self._roster.acting("observe"):

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
        at = view.trial if trial is None else trial
        try:
            asked = view.for_(f"{mechanism.name}/{hook}")
            answer = self._once(mechanism, f"L{view.level}/T{at}/{asked.purpose}", asked, call)
            effect, did, without = judge(answer)
        except (BudgetExhausted, EndpointError, JournalError, SandboxUnavailable):
            raise  # these end the search, whoever was asking
        except Exception as failure:  # generated or not, a mechanism may fail in any way
            error = f"{type(failure).__name__}: {failure}"
        if error:
            answer, effect = None, Effect.ERROR
        seconds = self._clock() - started
        self.ledger.add(HookCall(at, mechanism.name, hook, effect, did, without, error, seconds))
        return answer

    def _once(self, mechanism: Mechanism, name: str, view: View, call: Callable[[View], T]) -> T:
        """Calls are executed again from a journal and compared, but for those that ran out of
        time or memory: another execution might have more of them, so they fail as they did."""
        key = f"{name}/{self._calls[name]}"
        self._calls[name] += 1
        stopped = self._journal.peek(STOPPED, key)
        if stopped is not None:
            ask_again(view, stopped["asked"])
            self._journal.once(STOPPED, key, dict)
            mechanism.close()
            raise STOPS[stopped["kind"]](stopped["message"])
        questions = Questions(view)
        try:
            return call(questions.view)
        except tuple(STOPS.values()) as stop:
            if self._journal.repeating:
                raise JournalError(
                    f"mechanism {mechanism.name} had an answer at {name} and now: {stop}; give it "
                    "more (sandbox.call_s, sandbox.memory_mib), or a quieter machine, and run the "
                    "same command again"
                ) from stop
            told = {"kind": type(stop).__name__, "message": str(stop), "asked": questions.asked}
            self._journal.once(STOPPED, key, lambda: told)
            raise
