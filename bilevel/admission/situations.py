"""The situations in which the contract of a mechanism is tried, made from the loop it is meant
for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from bilevel.admission.fitted import Fitted
from bilevel.admission.resampling import Resampling
from bilevel.journal import Journal
from bilevel.loop.acceptance import Greedy
from bilevel.loop.evaluation import Evaluation
from bilevel.loop.loop import BASELINE
from bilevel.tasks.base import Task
from bilevel.trace import Decision, FailureKind, Outcome, Proposal, Trace, Trial
from bilevel.view import Asker, Brief, View
from bilevel.workers.executor import Serial

ROUNDS = 4
SHORT, LONG, FAILED = 3, 200, 12


@dataclass(frozen=True)
class Situation:
    """A loop with `behind` trials in its trace, and the trials that its next rounds produce."""

    name: str
    view: View
    trials: tuple[Trial, ...]
    behind: int

    def before(self, round_: int, asker: Asker) -> View:
        """Returns the view at the beginning of a round."""
        return replace(seen(self.view, self.trials[: self.behind + round_]), asker=asker)

    def after(self, round_: int, asker: Asker) -> tuple[View, Trial]:
        """Returns the view at the end of a round, and the round's trial."""
        after = self.before(round_ + 1, asker)
        return after, after.trace[-1]

    def candidates(self, round_: int, view: View) -> list[Proposal]:
        """Returns candidates such as a proposer and other mechanisms make: most of them legal."""
        proposer = Resampling(self.view)
        legal = [c for n in "ab" for c in proposer.propose(view.for_(f"admission/{n}"), Brief())]
        return [*legal, _AWKWARD[round_ % len(_AWKWARD)]]


_AWKWARD = (
    Proposal({}, problem="the reply held no JSON"),
    Proposal({"NO_SUCH_PARAMETER": 1}, "names no parameter", origin="other"),
    Proposal({}, "changes nothing", origin="other"),
)


def situations(view: View, task: Fitted) -> tuple[Situation, ...]:
    """Returns the situations, from the view's own trials; where these are too few, a search on the
    fitted task continues them."""
    trials = _extended(view, task, LONG + ROUNDS)
    failed = _extended(seen(view, trials[:1]), _Failing(task), FAILED + ROUNDS)
    return (
        Situation("no trial yet", view, trials, 0),
        Situation(f"{SHORT} trials", view, trials, SHORT),
        Situation("everything after the baseline failed", view, failed, FAILED),
        Situation(f"{LONG} trials", view, trials, LONG),
    )


def seen(view: View, trials: Sequence[Trial]) -> View:
    """Returns the view of the same loop with these trials in its trace."""
    trace = Trace(trials)
    incumbent = trace.standing[-1] if trace.standing else None
    left = view.trials_left
    return replace(
        view,
        trace=trace,
        incumbent=incumbent,
        parent=incumbent,
        trials_left=None if left is None else max(1, view.trial + left - len(trace)),
    )


def _extended(view: View, task: Task, count: int) -> tuple[Trial, ...]:
    evaluation = Evaluation(task, Journal(None), Serial(), level=view.level, seed=view.seed)
    proposer, trials = Resampling(view), list(view.trace[:count])
    while len(trials) < count:
        at = seen(view, trials)
        chosen = proposer.propose(at.for_("admission/walk"), Brief()) if trials else [BASELINE]
        trial = evaluation.trials(at, chosen)[0]
        kept = trial.value is not None and Greedy().accept(at, trial)
        trials.append(replace(trial, decision=Decision.KEEP) if kept else trial)
    return tuple(trials)


class _Failing(Task):
    """A task on which every trial fails, with each kind of failure in turn."""

    name = "failing"

    def __init__(self, task: Task) -> None:
        self.space, self.objective = task.space, task.objective
        self._kinds: Iterator[FailureKind] = cycle(FailureKind)

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        kind = next(self._kinds)
        return Outcome.failed(kind, f"it failed ({kind})")
