"""Calls the attached mechanisms at each step of a round and records what each one changed."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from bilevel.credit import shared
from bilevel.journal import Journal
from bilevel.loop.activations import COIN, ActivationLedger, Effect, HookCall, Liveness
from bilevel.loop.attachments import Attachments, Coin
from bilevel.loop.hook_answers import (
    NO_EFFECT,
    Account,
    briefed,
    decision,
    listed,
    number_of,
    numbered,
    of_kind,
    proposed,
    reviewed,
    shown,
    verdict_of,
)
from bilevel.loop.hook_calls import HookCalls
from bilevel.loop.rounds import Cause, Fresh, Review, Round, Turns, left
from bilevel.loop.rules import HOOK, TAKE_TURNS, Rules
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal, Trace, Trial
from bilevel.view import Brief, Standing, View

FAILURES_ALLOWED = 3
_log = logging.getLogger(__name__)


class Pipeline:
    """The mechanisms of one loop: calls their hooks in order and keeps the activation ledger.

    A failing hook is recorded and skipped; after three failures its mechanism is detached, and its
    record stays.
    """

    def __init__(
        self,
        mechanisms: Sequence[Mechanism] = (),
        *,
        probation: int = 10,
        left_out: Collection[str] = (),
        journal: Journal | None = None,
        rules: Rules | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.ledger = ActivationLedger(probation)
        self.rules = rules or Rules()
        self._attachments = Attachments(left_out)
        self._calls = HookCalls(self.ledger, journal or Journal(None), clock)
        self._parent_by = ""  # the mechanism without which this round would build on another trial
        self._turns = Turns(self.rules.turn)
        for mechanism in mechanisms:
            self.attach(mechanism, trial=0)

    @property
    def attached(self) -> tuple[Mechanism, ...]:
        return self._attachments.attached

    @property
    def known(self) -> tuple[Mechanism, ...]:
        """Every mechanism that was ever attached, in order."""
        return self._attachments.known

    def attach(self, mechanism: Mechanism, trial: int, coin: Coin | None = None) -> None:
        """Attaches a mechanism from this trial on, for every round or those that the coin picks; it
        sees the whole trace. Raises ValueError for a name that is taken, and for a mechanism that
        overrides no hook."""
        self._attachments.attach(mechanism, trial, coin)

    def detach(self, name: str, trial: int) -> None:
        """Detaches a mechanism from this trial on."""
        self._attachments.detach(name, trial)

    def keep(self, name: str) -> None:
        """Ends the probation of a mechanism: from now on it acts in every round."""
        self._attachments.keep(name)

    def until(self, name: str) -> int | None:
        """Returns the first trial for which it was no longer attached; None while it is."""
        return self._attachments.until(name)

    def liveness(self, name: str, trial: int) -> Liveness:
        return self.ledger.liveness(name, trials=trial - self._attachments.since(name))

    def standings(self, trace: Trace) -> list[Standing]:
        """Returns the standing of every mechanism that was ever attached, from the ledger and the
        trace."""
        return [self._standing(mechanism, trace) for mechanism in self.known]

    def _standing(self, mechanism: Mechanism, trace: Trace) -> Standing:
        name, since = mechanism.name, self._attachments.since(mechanism.name)
        own, proposers = shared(name, trace, since, self._attachments.until(name))
        return Standing(
            name=name,
            carrier=mechanism.carrier,
            state=str(self.liveness(name, len(trace))),
            since=since,
            attached=mechanism in self.attached,
            counts=self.ledger.counts(name),
            error=self.ledger.last_error(name),
            credit=own,
            proposers=proposers,
        )

    def close(self) -> None:
        """Closes every mechanism; the records stay."""
        for mechanism in self._attachments.known:
            mechanism.close()

    def begin(self, view: View) -> None:
        """Begins a round: tosses the coins and notes them in the ledger."""
        for name, on in self._attachments.toss(view.trial).items():
            self.ledger.add(HookCall(view.trial, name, COIN, Effect.NONE, "on" if on else "off"))

    def parent(self, view: View, default: Trial | None) -> Trial | None:
        """Returns the trial to build on: the last opinion of a mechanism, or else the default."""
        opinions: list[tuple[str, Trial | None]] = [("", default)]
        for mechanism in self._attachments.acting("parent"):
            before = opinions[-1][1]

            def call(v: View, m: Mechanism = mechanism) -> Trial | None:
                return numbered(view, m.parent(v))

            def judge(named: Trial | None, before: Trial | None = before) -> Account:
                return self._at_the_hook(number_of(named or before), number_of(before))

            named = self._calls.call(mechanism, "parent", view, call, judge)
            if named is not None:
                opinions.append((mechanism.name, named))
        name, chosen = opinions[-1]
        did, without = number_of(chosen), number_of(opinions[-2:][0][1])
        changed = did != without
        self._parent_by = name if changed else ""
        if changed:
            self._decided(view.trial, name, "parent", did, without)
        return chosen

    def brief(self, view: View, brief: Brief) -> Brief:
        for mechanism in self._attachments.acting("brief"):
            given = brief

            def call(v: View, m: Mechanism = mechanism, b: Brief = given) -> Brief:
                return briefed(v, b, m.brief(v, b))

            def judge(made: Brief, given: Brief = given) -> Account:
                same = made.trials is given.trials or [*made.trials] == [*given.trials]
                if same and made.text == given.text:
                    return NO_EFFECT
                return Effect.PROMPT, shown(made), shown(given)

            brief = self._calls.call(mechanism, "brief", view, call, judge) or given
        return brief

    def fresh(self, view: View, ask: Callable[[], Sequence[Proposal]]) -> Iterator[Fresh]:
        """Yields the new candidates of each asking of a round in their order, without end. `ask`
        asks the proposer; where it is a mechanism's turn, by `Rules.turn`, the first asking may be
        of that mechanism alone."""
        if self.rules.turn == TAKE_TURNS:
            first, others = self._turns.split(self.propose(view))
            if first:
                yield first
            yield (*_proposers(ask()), *others)
        else:
            own = _proposers(ask())
            first, others = self._turns.split(self.propose(view))
            yield (*first, *own, *others)
        while True:
            yield _proposers(ask())

    def propose(self, view: View) -> list[Proposal]:
        """Returns the mechanisms' own candidates; their effect is noted later, by `tried`."""
        extra: list[Proposal] = []
        for mechanism in self._attachments.acting("propose"):

            def call(v: View, m: Mechanism = mechanism) -> Sequence[Proposal]:
                return proposed(m.name, m.propose(v))

            def judge(made: Sequence[Proposal]) -> Account:
                return Effect.NONE, listed(made) if made else "", ""

            made = self._calls.call(mechanism, "propose", view, call, judge) or ()
            extra += made
        return extra

    def review(self, view: View, candidates: Sequence[Proposal], batch: int) -> list[Review]:
        """Returns the reviews of the candidates, each of what the one before it left."""
        reviews: list[Review] = []
        for mechanism in self._attachments.acting("review"):
            given = tuple(left(candidates, reviews)[0])

            def call(
                v: View, m: Mechanism = mechanism, given: Sequence[Proposal] = given
            ) -> Sequence[Proposal]:
                return reviewed(m.name, v, given, m.review(v, given))

            def judge(made: Sequence[Proposal], given: Sequence[Proposal] = given) -> Account:
                first = [c for c in made if not c.rejected][:batch]
                changed = [c.changes for c in first] != [c.changes for c in given[:batch]]
                return self._at_the_hook(listed(first), listed(given[:batch]), changed)

            made = self._calls.call(mechanism, "review", view, call, judge)
            if made is not None:
                reviews.append(Review(mechanism.name, given, tuple(made)))
        return reviews

    def tried(self, view: View, through: Round, chosen: Sequence[Proposal]) -> list[Cause]:
        """Returns the cause of each candidate that is about to be evaluated, and notes the
        decisions of `propose` and `review` in the ledger."""
        if self.rules.live == HOOK:
            self._credit_proposals(view, chosen)
        causes = [[self._parent_by] if self._parent_by else [] for _ in chosen]
        involved = through.involved
        for name, hook in involved:
            otherwise = through.without(name, hook)
            places = through.new(chosen, otherwise)
            missing = [otherwise[place] for place in through.new(otherwise, chosen)]
            if places or missing:
                did = listed([chosen[place] for place in places])
                self._decided(view.trial, name, hook, did, listed(missing))
            for place in places:
                causes[place].append(name)
        displaced = through.displaced(chosen) if involved else {}
        return [Cause((*dict.fromkeys(b),), displaced.get(place)) for place, b in enumerate(causes)]

    def accept(self, view: View, trial: Trial, default: bool) -> bool:
        """Returns the verdict on the round's best trial: the first opinion, or else the default;
        later opinions have no effect."""
        opinions: list[tuple[str, bool]] = []
        for mechanism in self._attachments.acting("accept"):

            def call(v: View, m: Mechanism = mechanism) -> bool | None:
                opinion = m.accept(v, trial)
                return None if opinion is None else of_kind(opinion, bool)

            def judge(opinion: bool | None, heard: bool = not opinions) -> Account:
                if opinion is None or not heard:
                    return NO_EFFECT
                return self._at_the_hook(verdict_of(opinion), verdict_of(default))

            opinion = self._calls.call(mechanism, "accept", view, call, judge)
            if opinion is not None:
                opinions.append((mechanism.name, opinion))
        (name, verdict), (_, otherwise) = [*opinions, ("", default), ("", default)][:2]
        if verdict != otherwise:
            self._decided(view.trial, name, "accept", verdict_of(verdict), verdict_of(otherwise))
        return verdict

    def observe(self, view: View, trial: Trial) -> None:
        """Calls every `observe` hook, and detaches mechanisms that have failed too often."""
        for mechanism in self._attachments.acting("observe"):

            def call(v: View, m: Mechanism = mechanism) -> None:
                m.observe(v, trial)

            self._calls.call(
                mechanism, "observe", view, call, lambda _: NO_EFFECT, trial=trial.number
            )
        for mechanism in self.attached:
            if self.ledger.errors(mechanism.name) >= FAILURES_ALLOWED:
                _log.warning(
                    "mechanism %s is detached at trial %d: it failed %d times, last: %s",
                    mechanism.name,
                    trial.number,
                    FAILURES_ALLOWED,
                    self.ledger.last_error(mechanism.name),
                )
                self.detach(mechanism.name, len(view.trace))

    def _at_the_hook(self, did: str, without: str, changed: bool | None = None) -> Account:
        """Returns the effect of a hook call where rules judge it at the hook; no effect where they
        judge it by the round."""
        changed = did != without if changed is None else changed
        return decision(changed and self.rules.live == HOOK, did, without)

    def _decided(self, trial: int, name: str, hook: str, did: str, without: str) -> None:
        if self.rules.live != HOOK:
            self.ledger.decided(trial, name, hook, did, without)

    def _credit_proposals(self, view: View, chosen: Sequence[Proposal]) -> None:
        """Notes a decision for each candidate that a mechanism proposed: the ledger of journals in
        which effects were judged at the hook."""
        for proposal in chosen:
            if proposal.origin in {mechanism.name for mechanism in self.known}:
                did, name = listed([proposal]), proposal.origin
                row = HookCall(view.trial, name, "propose", Effect.DECISION, did, "nothing")
                self.ledger.add(row)


def _proposers(candidates: Sequence[Proposal]) -> Fresh:
    return tuple(("", candidate) for candidate in candidates)
