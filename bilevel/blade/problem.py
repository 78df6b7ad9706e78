"""The suite that judges mechanisms as a problem of IOH-BLADE, whose methods then write them."""

import copy
import inspect
import math
from typing import Any, Self

from hydra.utils import instantiate

from bilevel.blade import words
from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.discovery.accounts import MECHANISM
from bilevel.discovery.members import HELD_OUT, TRAINING, members
from bilevel.discovery.suite import Suite
from bilevel.errors import ConfigError, SpaceError
from bilevel.randomness import confirmation_seed, training_seed
from bilevel.sandbox.worker_handle import chosen
from bilevel.tasks.base import Task
from bilevel.tasks.bbob import INSTALL_BLADE
from bilevel.trace import Decision, Proposal, Trace, Trial
from bilevel.visible import visible

try:
    from iohblade.problem import Problem
    from iohblade.solution import Solution
except ModuleNotFoundError as missing:
    raise ConfigError(f"SuiteProblem needs iohblade ({missing}): {INSTALL_BLADE}") from missing

_NOTED = ("cells", "stopped_early", "gain_se", "taken", "hook_errors", "over_hook_limit")
"""The metrics of an outcome that a solution's metadata has."""


class SuiteProblem(Problem):  # type: ignore[misc]  # mypy does not follow optional packages
    """A problem of IOH-BLADE: candidates are texts of mechanisms, and fitness, to be maximised, is
    the suite's gain.

    `overrides` set the task as on the command line (`task.suite=classics`, `task.inner=random`,
    `task.race=0`). The prompt is `discover`'s: protocol, interface and rules; what was found before
    is for a method to show. A candidate's searches are those of `arm=discover` with the same seed.
    It is raced against the best so far, and the feedback tells the gates' reason, or gains by task
    and paired differences. `test` measures on the held-out half.

    It is evaluated here and not in an environment that BLADE makes, for the sandbox confines every
    candidate, and the best so far has to be known. Raises ConfigError, SandboxUnavailable.
    """

    def __init__(
        self, *overrides: str, seed: int = 1, name: str = "bilevel", logger: Any = None
    ) -> None:
        self._settings = composed(CONF, ["arm=discover", *overrides])["task"]
        suite: Suite = instantiate(self._settings, _convert_="all")
        chosen(self._settings["limits"]["layer"])  # now: a method takes it for a bad candidate
        halves = members(self._settings["suite"])
        super().__init__(
            logger,
            training_instances=[member.name for member in halves[TRAINING]],
            test_instances=[member.name for member in halves[HELD_OUT]],
            name=name,
        )
        self.logger: Any = logger
        self.seed, self.minimisation = seed, False
        self.task_prompt, self.example_prompt = words.task(suite), ""
        self.format_prompt = words.reply()
        self.func_name, self.func_inputs = "propose", ["view"]
        self.init_inputs: list[str] = []
        self.func_outputs = ["proposals"]
        self._suite = suite
        self._trace = Trace()

    def __call__(self, solution: Solution, logger: Any = None) -> Solution:
        """Evaluates a candidate and logs it, unless the logger's budget is spent."""
        if logger is not None:
            self.logger = logger
        if self.logger is not None and self.logger.budget_exhausted():
            return _failed(solution, "Budget is exhausted.")
        scored = self.evaluate(solution)
        if self.logger is not None:
            self.logger.log_individual(scored)
        return scored

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The problem for another run: what was tried is forgotten, the suite is shared."""
        other = copy.copy(self)
        other._trace = Trace(self._trace[:1])
        return other

    def evaluate(self, solution: Solution) -> Solution:
        """Scores a candidate on the training half; a text that the gates refuse has minus infinity
        and their reason."""
        if not solution.code.strip():
            return _failed(solution, "the reply has no text of a mechanism")
        if not self._trace:
            self._trace = Trace([self._tried(self._suite, Solution(), None)])
        best = self._best()
        try:
            trial = self._tried(self._suite, solution, best)
        except SpaceError as error:
            return _failed(solution, visible(str(error)))
        self._trace = self._trace.plus(trial)
        if trial.outcome.failure is not None:
            return _failed(solution, trial.outcome.failure.detail)
        for name in _NOTED:
            solution.add_metadata(name, trial.outcome.metrics[name])
        return solution.set_scores(trial.value, words.feedback(trial, self._trace[0], best))

    def test(self, solution: Solution) -> Solution:
        """Returns the candidate with its gain on the half that no method searches, at a fresh seed.
        The one that was given keeps its fitness."""
        scored = copy.deepcopy(solution)
        seed = confirmation_seed(self.seed, 0)
        held_out = self._suite.held_out
        outcome = held_out.evaluate(None, Proposal({MECHANISM: solution.code}), seed)
        if outcome.failure is not None:
            return _failed(scored, outcome.failure.detail)
        none = held_out.evaluate(None, Proposal({}), seed)
        scored.add_metadata("gain_without", none.value)
        return scored.set_scores(
            outcome.value, f"On the held-out half the gain is {outcome.value:.3f}."
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self.seed,
            "task": self._settings,
            "training_instances": self.training_instances,
            "test_instances": self.test_instances,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "tags": ["pipeline design", "noisy", "single objective"],
            "name": self.name,
            "prompt": self.get_prompt(),
            "minimisation": self.minimisation,
            "evaluator": inspect.getsource(Suite.evaluate),
            "config": self.to_dict(),
        }

    def cleanup(self) -> None:
        self._suite.close()

    def _ensure_env(self) -> None:
        """No environment is made: see the class."""

    def _tried(self, task: Task, solution: Solution, best: Trial | None) -> Trial:
        seed = training_seed(self.seed)
        proposal = Proposal({MECHANISM: solution.code}, solution.description, origin="blade")
        outcome = task.evaluate(best, proposal, seed)
        return Trial(
            number=len(self._trace),
            parent=None if best is None else best.number,
            proposal=proposal,
            config={MECHANISM: solution.code},
            seed=seed,
            outcome=outcome,
            decision=Decision.KEEP if best is None else Decision.DISCARD,
        )

    def _best(self) -> Trial:
        """The highest gain that was measured to the end."""
        whole = [t for t in self._trace if not t.outcome.metrics.get("stopped_early", 0.0)]
        return max(whole, key=lambda t: -math.inf if t.value is None else t.value)


def _failed(solution: Solution, reason: str) -> Solution:
    return solution.set_scores(-math.inf, reason, reason)
