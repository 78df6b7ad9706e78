"""A segment of a loop as a task for the loop above it: this is how levels nest."""

from dataclasses import replace

from bilevel.levels.attaching import Attaching
from bilevel.levels.judging import judgement
from bilevel.loop.loop import Loop
from bilevel.space import Config
from bilevel.tasks.base import Task
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.view import View


class Segment(Task):
    """A task whose evaluation runs a loop for `trials` more trials. A proposal sets the loop's
    settings from this segment on, or brings a mechanism that `attaching` attaches to the innermost
    loop.

    The value is the gain: by how much the best value of the innermost loop improved. It cannot be
    repeated: gains shrink as a search converges, so the outer incumbent is the active configuration
    and never "the best segment so far".
    """

    repeatable = False
    baseline_is_free = False
    objective = Objective("gain", "maximize")

    def __init__(self, loop: Loop, trials: int, attaching: Attaching | None = None) -> None:
        if trials < 1:
            raise ValueError(f"a segment of {trials} trials: expected at least 1")
        self.loop = loop
        self.trials = trials
        self.name = f"segment of {loop.task.name}"
        self.space = loop.settings_space
        self._before: Config = dict(loop.settings)
        self._attaching = attaching
        self._attached = ""

    @property
    def innermost(self) -> Loop:
        task = self.loop.task
        return task.innermost if isinstance(task, Segment) else self.loop

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        self._before = dict(self.loop.settings)
        self.loop.configure(self.configured(parent, proposal))
        first = len(self.innermost.trace)
        if self._attaching is not None:
            self._attached = self._attaching.attach(self.innermost, proposal.mechanism)
        best_before = self._best()
        self.loop.run(self.trials)
        best_after = self._best()
        ran = self.innermost.trace[first:]
        start = best_before if best_before is not None else self.innermost.trace[0].value
        gain = 0.0
        if start is not None and best_after is not None:
            gain = self.innermost.task.objective.gain(start, best_after)
        kept = sum(1 for trial in ran if trial.kept)
        metrics = {"trials": len(ran), "kept": kept, "first_trial": first}
        if not self._attached:
            return Outcome(gain, metrics=metrics)
        judged = judgement(self.innermost, self._attached, first)
        said = f"{self._attached}: {judged}\n"
        return Outcome(gain, metrics={**metrics, **judged.metrics()}, notes={"judgement": said})

    def settle(self, trial: Trial) -> None:
        if not trial.kept:
            self.loop.configure(self._before)
        if self._attached:
            pipeline = self.innermost.pipeline
            if trial.kept:
                pipeline.keep(self._attached)
            else:
                pipeline.detach(self._attached, len(self.innermost.trace))

    def render(self, config: Config) -> str:
        """Returns the settings that are active in the loop below, as text."""
        return "".join(f"{name} = {value!r}\n" for name, value in config.items())

    def below(self) -> View:
        view = self.loop.view()
        return replace(view, purpose="below")

    def exhausted(self) -> bool:
        return self.loop.done

    def _best(self) -> float | None:
        best = self.innermost.best
        return None if best is None else best.value
