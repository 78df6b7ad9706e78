"""What a loop searches over: a space, an objective, and the two verbs evaluate and settle."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilevel.space import Config, SearchSpace
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.view import About, View


@dataclass(frozen=True)
class InnerSearches:
    """The searches that one evaluation runs, where evaluating is searching: with these settings,
    each of `tasks` at `repeats` seeds."""

    settings: Mapping[str, Any]
    tasks: "Sequence[Task]"
    repeats: int


class Task(ABC):
    """A search space, an objective, and a way to evaluate a configuration: what a loop searches
    over.

    Subclasses set the four attributes and implement `evaluate`.

    The arguments of a subclass's constructor are its settings, `task.NAME` on the command line.
    Those that are annotated with types of `bilevel.settings` (`limit_s: Seconds`, `file:
    Annotated[File, FREE]`) are checked before a search begins; others are not.
    """

    name: str
    space: SearchSpace
    objective: Objective
    repeatable: bool = True
    """Whether equal configurations have equal outcomes, so that one can answer for another."""
    baseline_is_free: bool = True
    """Whether the baseline comes before the budget instead of being its first part."""
    noise_sd: float | None = None
    """The standard deviation of the metric over seeds, where the task itself knows it."""

    best_known: float | None = None
    """The best value that anybody knows of, without noise, where the task itself knows one."""

    @property
    def held_out(self) -> "Task | None":
        """What a search's best is measured on at the end and nothing of it is searched on."""
        return None

    @property
    def unseeded(self) -> str:
        """Return why equal values at every seed are expected, or how to hand over the seed."""
        return ""

    @abstractmethod
    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        """Evaluates a proposal whose changes are legal. A trial that fails is an outcome, not an
        exception; raises TaskError only where no trial could work."""

    def settle(self, trial: Trial) -> None:
        """Commits or rolls back the changes of a trial, once it is decided."""
        return

    def ready(self) -> None:
        """Prepares the task before the first trial. Raises TaskError where no trial could work."""
        return

    def material(self) -> dict[str, str]:
        """Return constructor arguments to keep in the journal, so that a search can be executed
        again without the task's files."""
        return {}

    def details(self) -> dict[str, Any]:
        """Return further such arguments that decide no outcome: a file's name, or what was read
        from one that `material` names. Two runs of a search may differ in them."""
        return {}

    def describe(self) -> About:
        """Return the description of the experiment that proposers see: no secret, nothing of
        this machine, and the same for the whole search, whose journal keeps it."""
        return About()

    def world(self) -> Mapping[str, str]:
        """Return, by name and in few words, what decides outcomes besides settings and material
        (files, versions); asked for once, when the task is ready."""
        return {}

    def effective(self, config: Config) -> Config:
        """Return the configuration that really runs: trials whose effective ones are equal are
        duplicates."""
        return config

    def exact(self, config: Config) -> float | None:
        """The value of a configuration without noise, where the task knows it."""
        return None

    def render(self, config: Config) -> str:
        """Return the text being edited, at this configuration."""
        return "".join(f"{name} = {value!r}\n" for name, value in config.items())

    def below(self) -> View | None:
        """Return the view of the loop that this task runs; None if it runs none."""
        return None

    def inner_searches(self) -> InnerSearches | None:
        """Return what one evaluation searches, at most, for a plan of what that costs; None where
        it searches nothing."""
        return None

    def exhausted(self) -> bool:
        """Return whether nothing is left to evaluate."""
        return False

    def configured(self, parent: Trial | None, proposal: Proposal) -> Config:
        """Return the configuration of a proposal on this parent."""
        base = parent.config if parent is not None else self.space.baseline
        return {**base, **self.space.check(proposal.changes)}

    def close(self) -> None:
        """Ends the processes that the task started."""
        return
