"""Evaluates the proposals of a round: each becomes a trial whose outcome is in the journal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bilevel.errors import SpaceError
from bilevel.journal import Journal
from bilevel.randomness import retest_seed, training_seed
from bilevel.space import Config, canonical
from bilevel.tasks.base import Task
from bilevel.trace import Decision, FailureKind, Outcome, Proposal, Trial
from bilevel.view import View
from bilevel.workers.executor import Executor, Request


@dataclass(frozen=True)
class _Attempt:
    """A proposal with its configuration, or with the reason why it has none."""

    number: int
    proposal: Proposal
    config: Config
    duplicate_of: int | None = None
    problem: str = ""


class Evaluation:
    """Evaluates proposals for one loop; remembers evaluated configurations to recognise
    duplicates."""

    def __init__(
        self, task: Task, journal: Journal, executor: Executor, *, level: float, seed: int
    ) -> None:
        self._task = task
        self._journal = journal
        self._executor = executor
        self._level = level
        self._seed = seed
        self._training_seed = training_seed(seed)
        self._first_of: dict[str, int] = {}

    def trials(self, view: View, chosen: Sequence[Proposal]) -> list[Trial]:
        """Returns one trial for each proposal, in order; those with a value are discarded until
        decided."""
        attempts = [self._attempt(view, p, view.trial + i) for i, p in enumerate(chosen)]
        outcomes = self._outcomes(view, attempts)
        return [
            Trial(
                number=attempt.number,
                parent=view.parent.number if view.parent is not None else None,
                proposal=attempt.proposal,
                config=attempt.config,
                seed=self._training_seed,
                outcome=outcome,
                decision=Decision.FAIL if outcome.value is None else Decision.DISCARD,
                duplicate_of=attempt.duplicate_of,
                moves=view.space.moves(view.base, attempt.config),
            )
            for attempt, outcome in zip(attempts, outcomes, strict=True)
        ]

    def again(self, view: View, tested: Trial) -> Trial:
        """Returns a re-test: the same configuration at another seed, discarded until decided."""
        repeat = sum(trial.retest_of == tested.number for trial in view.trace)
        seed = retest_seed(self._seed, repeat)
        proposal = Proposal({}, f"trial {tested.number} on another seed", origin="retest")
        result = self._executor.outcomes(self._task, [Request(tested, proposal, seed)])
        answer = self._journal.once(
            "outcome",
            f"L{self._level}/T{view.trial}",
            lambda: next(result).to_json(),
            request={"config": dict(self._task.effective(tested.config)), "seed": seed},
            durable=True,
        )
        outcome = Outcome.from_json(answer)
        return Trial(
            number=view.trial,
            parent=tested.number,
            proposal=proposal,
            config=tested.config,
            seed=seed,
            outcome=outcome,
            decision=Decision.FAIL if outcome.value is None else Decision.DISCARD,
            retest_of=tested.number,
        )

    def _attempt(self, view: View, proposal: Proposal, number: int) -> _Attempt:
        if proposal.problem:
            return _Attempt(number, proposal, view.base, problem=proposal.problem)
        try:
            config = self._task.configured(view.parent, proposal)
        except SpaceError as error:
            return _Attempt(number, proposal, view.base, problem=str(error))
        if not self._task.repeatable:
            return _Attempt(number, proposal, config)
        earlier = self._first_of.setdefault(canonical(self._task.effective(config)), number)
        return _Attempt(number, proposal, config, earlier if earlier < view.trial else None)

    def _outcomes(self, view: View, attempts: Sequence[_Attempt]) -> list[Outcome]:
        """Returns the outcomes in order; each is in the journal before the next one is read."""
        results = self._executor.outcomes(
            self._task,
            [
                Request(view.parent, attempt.proposal, self._training_seed)
                for attempt in attempts
                if self._is_open(attempt)
            ],
        )
        outcomes: list[Outcome] = []
        for attempt in attempts:
            if attempt.problem:
                outcomes.append(Outcome.failed(FailureKind.INVALID_PROPOSAL, attempt.problem))
            elif attempt.duplicate_of is not None:
                outcomes.append(_again(view.trace[attempt.duplicate_of].outcome))
            elif not self._task.repeatable:
                outcomes.append(next(results))
            else:
                answer = self._journal.once(
                    "outcome",
                    self._key(attempt),
                    lambda: next(results).to_json(),
                    request=self._request(attempt),
                    durable=True,
                )
                outcomes.append(Outcome.from_json(answer))
        return outcomes

    def _is_open(self, attempt: _Attempt) -> bool:
        """Returns whether the attempt still has to be evaluated."""
        answered = attempt.problem or attempt.duplicate_of is not None
        if answered or not self._task.repeatable:
            return not answered
        return not self._journal.holds("outcome", self._key(attempt), self._request(attempt))

    def _request(self, attempt: _Attempt) -> dict[str, Any]:
        """Returns the request that identifies an outcome in the journal."""
        return {"config": self._task.effective(attempt.config), "seed": self._training_seed}

    def _key(self, attempt: _Attempt) -> str:
        return f"L{self._level}/T{attempt.number}"


def _again(outcome: Outcome) -> Outcome:
    """Returns an earlier outcome for a duplicate: charged in full, without wall time."""
    return replace(outcome, clock={"wall_s": 0.0, "cached": 1.0})


def repeated(
    task: Task,
    proposal: Proposal,
    seeds: Mapping[str, int],
    journal: Journal,
    executor: Executor,
) -> Iterator[Outcome]:
    """Yields the outcomes of a proposal, which changes the baseline, at several seeds (journal key
    -> seed), in order; each is in the journal before the next one is read."""
    config = dict(task.effective(task.configured(None, proposal)))
    requests = {key: {"config": config, "seed": seed} for key, seed in seeds.items()}
    unknown = [seeds[k] for k, asked in requests.items() if not journal.holds("outcome", k, asked)]
    results = executor.outcomes(task, [Request(None, proposal, seed) for seed in unknown])
    for key, request in requests.items():
        answer = journal.once(
            "outcome", key, lambda: next(results).to_json(), request=request, durable=True
        )
        yield Outcome.from_json(answer)


def seed_reaches(*measured: Sequence[Outcome]) -> bool | None:
    """Returns whether any of these configurations has two values that differ; None where none has
    two values."""
    values = [[o.value for o in outcomes if o.value is not None] for outcomes in measured]
    if all(len(each) < 2 for each in values):
        return None
    return any(len(set(each)) > 1 for each in values)
