"""The frozen picture of a loop that proposers, acceptance policies and mechanisms are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any, Protocol

from bilevel.credit import NO_TRIALS, Credit
from bilevel.errors import ConfigError
from bilevel.frozen import frozen
from bilevel.parameters import Value
from bilevel.randomness import keyed
from bilevel.space import Config, SearchSpace
from bilevel.trace import Objective, Proposal, Trace, Trial


@dataclass(frozen=True)
class Answer:
    """What the search's model answered: a checked value, or why there is none.

    `prompt` is the digest of the prompt that was asked, `texts` are the raw replies in order,
    `tokens` what was asked and replied.
    """

    value: Any
    problem: str = ""
    prompt: str = ""
    texts: tuple[str, ...] = ()
    tokens: int = 0


class Ask(Protocol):
    """A question to the search's model, answered from the journal when it was asked before.

    `schema` is a JSON schema for the reply. `check` turns the parsed reply into the value and
    raises SpaceError or ValueError with a reason that the model is told in the one repair round.
    """

    def __call__(
        self,
        prompt: str,
        schema: Mapping[str, Any],
        *,
        check: Callable[[Any], Any] | None = None,
        system: str = "",
        temperature: float | None = None,
    ) -> Answer: ...


def _no_model(
    prompt: str,
    schema: Mapping[str, Any],
    *,
    check: Callable[[Any], Any] | None = None,
    system: str = "",
    temperature: float | None = None,
) -> Answer:
    """The `ask` of a search without a language model."""
    raise ConfigError("this search asks a language model and has none: choose one with llm=...")


class Asker(Protocol):
    """Binds questions to the trial and the purpose they are asked for."""

    def __call__(self, level: float, trial: int, purpose: str) -> Ask: ...


def nobody(level: float, trial: int, purpose: str) -> Ask:
    """The asker of a search without a language model."""
    return _no_model


class _Recall(Protocol):
    """A result that may differ from one computation to the next (a time limit decides it): it is
    computed once, and taken from the journal ever after."""

    def __call__(
        self, what: str, request: Mapping[str, Any], produce: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]: ...


def _afresh(
    what: str, request: Mapping[str, Any], produce: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The recall of a view without a journal."""
    return produce()


@dataclass(frozen=True)
class Brief:
    """What the proposer reads: which trials it is shown, and text from mechanisms."""

    trials: Sequence[Trial] = ()
    text: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "trials", frozen(self.trials))

    def add(self, text: str) -> "Brief":
        return replace(self, text=f"{self.text}\n{text}".strip())


@dataclass(frozen=True)
class Standing:
    """A mechanism of a loop as its ledger has it: `counts` counts calls as `hook.effect`; `credit`
    is for the trials it caused, `proposers` for the proposer's own in the span it was attached."""

    name: str
    carrier: str
    state: str
    since: int
    attached: bool
    counts: Mapping[str, int]
    error: str = ""
    credit: Credit = NO_TRIALS
    proposers: Credit = NO_TRIALS


def none_attached() -> Sequence[Standing]:
    """The mechanisms of a view that has none."""
    return ()


@dataclass(frozen=True)
class About:
    """The description of a task, the same for a whole search: facts of the experiment, what its
    parameters mean, and what their values do not tell of the text that is edited; `noise` is what
    was known of the metric's noise when the search began."""

    facts: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    noise: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "meanings", frozen(self.meanings))

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "meanings": dict(self.meanings)}


def _as_it_is(config: Config) -> Config:
    """What really runs, where every configuration is its own."""
    return config


@dataclass(frozen=True)
class View:
    """A loop at one trial. `parent` is what the next proposal builds on, once it is chosen.

    `settings` is the active configuration of the search itself (what a level above may change);
    `below` is the loop that this one searches over, if any; `render` gives the text of what is
    being edited at a configuration (a training script, or an account of the loop below). `recall`
    computes once, and from then on reads, what a proposer cannot compute again: keyed by trial.
    `mechanisms` tells of every mechanism that was ever attached, `about` what the task tells of
    itself, `effective` which configurations run the same (in a sandbox: none), `since` the trial
    from which on a setting has been as a level above made it.
    """

    level: float
    seed: int
    space: SearchSpace
    objective: Objective
    trace: Trace
    incumbent: Trial | None
    trials_left: int | None
    settings: Mapping[str, Value]
    settings_space: SearchSpace
    render: Callable[[Config], str]
    asker: Asker = nobody
    parent: Trial | None = None
    below: "View | None" = None
    purpose: str = ""
    recall: _Recall = _afresh
    mechanisms: Callable[[], Sequence[Standing]] = none_attached
    about: About = field(default_factory=About)
    effective: Callable[[Config], Config] = _as_it_is
    since: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", frozen(self.settings))
        object.__setattr__(self, "since", frozen(self.since))

    def for_(self, purpose: str) -> "View":
        """The same picture with a generator of its own for this purpose."""
        return replace(self, purpose=purpose)

    @property
    def trial(self) -> int:
        """The number of the trial that is being decided."""
        return len(self.trace)

    @property
    def innermost(self) -> "View":
        """The loop at the very bottom, which tries the task itself."""
        return self if self.below is None else self.below.innermost

    @property
    def base(self) -> Config:
        """The configuration that the next proposal changes."""
        return self.parent.config if self.parent is not None else self.space.baseline

    @cached_property
    def rng(self) -> Random:
        """Keyed by (seed, level, trial, purpose): nobody else's draws can move it."""
        return keyed(self.seed, self.level, self.trial, self.purpose)

    @cached_property
    def ask(self) -> Ask:
        """Asks the search's own model; charged, journalled and capped like any other call."""
        return self.asker(self.level, self.trial, self.purpose)

    def source(self) -> str:
        """The text of what is being edited, as it stands at the parent."""
        return self.render(self.base)


class Proposer(Protocol):
    """Proposes changes to a configuration. `settings` are its own parameters, which a level above
    may tune."""

    @property
    def settings(self) -> SearchSpace: ...

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """One or more candidates that change `view.base`; more than the round needs are spare."""


NO_SETTINGS = SearchSpace(())
