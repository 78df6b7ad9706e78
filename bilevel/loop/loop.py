"""The one loop: ask, review, evaluate, accept, tell; the same class at every level."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bilevel.errors import JournalError, TaskError
from bilevel.journal import Journal
from bilevel.loop.acceptance import Acceptance
from bilevel.loop.disagreement import blamed
from bilevel.loop.evaluation import Evaluation
from bilevel.loop.pipeline import Pipeline
from bilevel.loop.rounds import Round, Turn
from bilevel.loop.rules import OUTCOME
from bilevel.parameters import Value
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import Decision, Proposal, Trace, Trial
from bilevel.view import About, Asker, Brief, Proposer, Standing, View, nobody
from bilevel.workers.executor import Executor, Serial

Observer = Callable[["Loop", Trial], None]
BASELINE = Proposal({}, hypothesis="the baseline", origin="baseline")
_MAX_REASON_CHARS = 2_000  # of one candidate that was dropped, and why
MAX_REASONS_CHARS = 20_000  # of all of them
ASKS = 3  # how often a round may ask in vain: for nothing, or for what mechanisms drop


class Loop:
    """The search loop of every level: asks for proposals, lets mechanisms review them, evaluates,
    accepts or discards, and tells everybody.

    It searches `task` for `trials` charged evaluations after the baseline (None: until the task
    is exhausted). `level` is 1 for the innermost loop and 1.5 or 2, as in the paper, above. `about`
    is what its proposers are told of the task, where that is not the task's own word of today."""

    def __init__(
        self,
        *,
        task: Task,
        proposer: Proposer,
        acceptance: Acceptance,
        level: float = 1,
        seed: int = 0,
        trials: int | None = None,
        batch: int = 1,
        pipeline: Pipeline | None = None,
        journal: Journal | None = None,
        executor: Executor | None = None,
        asker: Asker = nobody,
        observers: Sequence[Observer] = (),
        about: About | None = None,
    ) -> None:
        self.task = task
        self.level = level
        self.seed = seed
        self.trials = trials
        self.pipeline = pipeline or Pipeline()
        self.trace = Trace()
        self.incumbent: Trial | None = None
        self.settings: Mapping[str, Value] = proposer.settings.baseline
        self._proposer = proposer
        self._acceptance = acceptance
        self._batch = batch
        self._journal = journal or Journal(None)
        self._evaluation = Evaluation(
            task, self._journal, executor or Serial(), level=level, seed=seed
        )
        self._asker = asker
        self._observers = list(observers)
        self._best: Trial | None = None
        self._about = about
        self._since: Mapping[str, int] = {}

    @property
    def settings_space(self) -> SearchSpace:
        """The space of the settings that a level above may change."""
        return self._proposer.settings

    def configure(self, settings: Mapping[str, Value]) -> None:
        """Makes these the active settings of the search. Raises SpaceError."""
        wanted = {**self.settings, **self.settings_space.check(settings)}
        changed = [name for name, value in wanted.items() if value != self.settings[name]]
        self._since = {**self._since, **dict.fromkeys(changed, len(self.trace))}
        self.settings = wanted

    @property
    def best(self) -> Trial | None:
        """The kept trial with the best value ever."""
        return self._best

    @property
    def trials_left(self) -> int | None:
        return None if self.trials is None else self.trials - self.charged

    @property
    def charged(self) -> int:
        """The number of trials that count against the budget."""
        return max(0, len(self.trace) - self.task.baseline_is_free)

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        if self.task.exhausted():
            return True
        return bool(self.trace) and self.trials_left == 0

    def run(self, trials: int | None = None) -> int:
        """Runs until done, or for this many charged trials; returns how many."""
        before = self.charged
        while not self.done:
            ran = self.charged - before
            if trials is not None and self.trace and ran >= trials:
                break
            try:
                self._round(None if trials is None else trials - ran)
            except JournalError as error:
                blamed(error, self._journal, self.pipeline.ledger, self.level, len(self.trace))
        return self.charged - before

    def view(self) -> View:
        """Returns the frozen picture of the loop as it stands."""
        if self._about is None:
            self._about = self.task.describe()
        return View(
            level=self.level,
            seed=self.seed,
            space=self.task.space,
            objective=self.task.objective,
            trace=self.trace,
            incumbent=self.incumbent,
            trials_left=self.trials_left,
            settings=self.settings,
            settings_space=self.settings_space,
            render=self.task.render,
            asker=self._asker,
            parent=self.incumbent,
            below=self.task.below(),
            recall=self._recall,
            mechanisms=self._standings,
            about=self._about,
            effective=self.task.effective,
            since=self._since,
        )

    def _standings(self) -> Sequence[Standing]:
        return self.pipeline.standings(self.trace)

    def _recall(
        self, what: str, request: Mapping[str, Any], produce: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        key = f"L{self.level}/T{len(self.trace)}/{what}"
        return self._journal.once("recall", key, produce, request=request, durable=True)

    def _round(self, most: int | None) -> None:
        view = self.view()
        self.pipeline.begin(view)
        if self.trace:
            limits = [self._batch, self.trials_left, most]
            batch = min(limit for limit in limits if limit is not None)
            again = self._acceptance.retest(view) if self.task.repeatable else None
            if again is not None:
                self._tell(self._judged(view, self._evaluation.again(view, again)))
                return
            view = replace(view, parent=self.pipeline.parent(view, self.incumbent))
            trials = self._tried(view, self._ask(view, batch))
        else:
            trials = self._evaluation.trials(view, [BASELINE])
        for trial in self._decide(view, trials):
            self._tell(trial)
        if self.incumbent is None:
            failure = self.trace[0].outcome.failure
            raise TaskError(
                f"the baseline of task {self.task.name} failed ({failure and failure.detail}); "
                "a search needs a baseline that runs: mend the task, then start with fresh=true"
            )

    def _ask(self, view: View, batch: int) -> Round:
        """Returns the candidates that survive review; the proposer is asked again with the reasons
        for those that were dropped."""
        brief = asked = self.pipeline.brief(view, Brief(trials=view.trace))
        made = Round(view.space, view.base, batch)
        kept: list[Proposal] = []
        fruitless = 0

        def ask() -> Sequence[Proposal]:
            return self._proposer.propose(view.for_(f"propose/{len(made.turns)}"), asked)

        for fresh in self.pipeline.fresh(view, ask):
            candidates = kept + [candidate for _, candidate in fresh]
            reviews = self.pipeline.review(view, candidates, batch)
            made.turns.append(Turn(fresh, reviews))
            before = len(kept)
            kept, dropped = made.left()
            fruitless += len(kept) <= before
            if len(kept) >= batch or fruitless >= ASKS:
                break
            asked = brief.add(_reasons(dropped)) if dropped else brief
        return made

    def _tried(self, view: View, made: Round) -> list[Trial]:
        """The chosen candidates as trials, with the mechanisms that caused each."""
        chosen = made.chosen()
        if not chosen:
            raise TaskError(f"the proposer proposed nothing for trial {view.trial}, {ASKS} times")
        causes = self.pipeline.tried(view, made, chosen)
        trials = self._evaluation.trials(view, chosen)
        return [
            replace(trial, caused_by=cause.by, displaced=cause.displaced)
            for trial, cause in zip(trials, causes, strict=True)
        ]

    def _decide(self, view: View, trials: Sequence[Trial]) -> list[Trial]:
        """The round's best trial is kept or discarded; the others are discarded or have failed."""
        valued = Trace([replace(t, decision=Decision.KEEP) for t in trials if t.value is not None])
        challenger = valued.best(self.task.objective)
        if challenger is None:
            return list(trials)
        accepted = not self.trace or self.pipeline.accept(
            view, challenger, default=self._acceptance.accept(view, challenger)
        )
        if not accepted:
            return list(trials)
        return [challenger if t.number == challenger.number else t for t in trials]

    def _judged(self, view: View, retest: Trial) -> Trial:
        """Kept: the incumbent stands. Discarded: it was luck. Failed: nothing is known."""
        if retest.value is None or not self._acceptance.accept(view, retest):
            return retest
        return replace(retest, decision=Decision.KEEP)

    def _tell(self, trial: Trial) -> None:
        self.trace = self.trace.plus(trial)
        if trial.retest_of is not None:
            if trial.refutes is not None:
                self.incumbent = self.trace.standing[-1]
                self._best = self.trace.best(self.task.objective)
        elif trial.kept:
            self.incumbent = trial
            self._best = Trace([t for t in (self._best, trial) if t]).best(self.task.objective)
        self.task.settle(trial)
        key = f"L{self.level}/T{trial.number}"
        caused = self.pipeline.rules.live == OUTCOME
        self._journal.note("trial", key, _account(trial, caused=caused))
        if self.pipeline.attached:
            self.pipeline.observe(self.view(), trial)
        if self.pipeline.known:
            rows = [r.to_json() for r in self.pipeline.ledger.of_trial(trial.number)]
            self._journal.note("hooks", key, {"calls": rows})
        for observer in self._observers:
            observer(self, trial)


def _reasons(dropped: Sequence[Proposal]) -> str:
    """Returns the reasons of the dropped candidates for a prompt, cut in number and length."""
    lines = ["These candidates were rejected, propose something else:"]
    left = MAX_REASONS_CHARS
    for number, candidate in enumerate(dropped):
        line = f"- {dict(candidate.changes)}: {candidate.rejected}"
        line = line if len(line) <= _MAX_REASON_CHARS else line[: _MAX_REASON_CHARS - 3] + "..."
        left -= len(line)
        if left < 0:
            lines.append(f"- and {len(dropped) - number} more")
            break
        lines.append(line)
    return "\n".join(lines)


def _account(trial: Trial, *, caused: bool) -> dict[str, object]:
    """Returns a journal's account of a decided trial: enough to read it and to check a
    re-execution; whether a mechanism `caused` it was not recorded under older rules."""
    some: dict[str, object] = {} if trial.retest_of is None else {"retest_of": trial.retest_of}
    if caused and trial.caused_by:
        some["caused_by"] = list(trial.caused_by)
    if caused and trial.displaced is not None:
        some["displaced"] = dict(trial.displaced)
    return {
        **some,
        "parent": trial.parent,
        "proposal": trial.proposal.to_json(),
        "value": trial.value,
        "decision": str(trial.decision),
        "duplicate_of": trial.duplicate_of,
    }
