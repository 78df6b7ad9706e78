"""Optuna's samplers as proposers, over a task's own space or over the settings of a loop below."""

from collections.abc import Callable, Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from baselines.axes import Axes, Axis, Category
from baselines.results import Results
from bilevel.parameters import Parameter
from bilevel.randomness import digest
from bilevel.space import Config, SearchSpace, canonical
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View

ORIGIN = "optuna"


class OptunaSearch:
    """Asks a sampler for a whole configuration, and tells it every trial of the trace.

    `sampler` makes one from `seed=`. `only` are the parameters it searches (default: all active
    ones), the others stay as they are. A level above gives no `space`: its own is the settings of
    the loop below, and where that one lacks a name nothing is changed, with the reason said.
    Raises ConfigError for parameters that no sampler can search.

    Akiba et al., "Optuna", KDD 2019.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        sampler: Callable[..., BaseSampler],
        only: Sequence[str] | None = None,
    ) -> None:
        self._sampler = sampler
        self._only = None if only is None else tuple(only)
        self._study: _Study | None = None
        if space is not None:
            Axes(_searched(space, self._only))

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        missing = [name for name in self._only or () if name not in view.space]
        if missing:
            said = f"not searched: there is no parameter {', '.join(missing)}"
            return [Proposal({}, said, ORIGIN)]
        if self._study is None:
            seed = digest(view.seed, view.level, ORIGIN) % 2**32
            self._study = _Study(_searched(view.space, self._only), self._sampler(seed=seed))
        self._study.learn(view)
        asked = self._study.ask()
        changes = {name: value for name, value in asked.items() if value != view.base[name]}
        name = type(self._study.sampler).__name__
        return [Proposal(changes, f"drawn by {name}", ORIGIN)]


class _Study:
    """An Optuna study that minimises, and the trials it has asked for in this round."""

    def __init__(self, parameters: Sequence[Parameter], sampler: BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.sampler = sampler
        self.optuna = optuna.create_study(sampler=sampler, study_name="search")
        self._names = [parameter.name for parameter in parameters]
        self._axes = Axes(parameters)
        self._distributions = {axis.name: _distribution(axis) for axis in self._axes.all}
        self._open: dict[str, list[optuna.Trial]] = {}
        self._results = Results()

    def ask(self) -> Config:
        asked = self.optuna.ask(self._distributions)
        config = self._axes.decode(asked.params)
        self._open.setdefault(canonical(config), []).append(asked)
        return config

    def learn(self, view: View) -> None:
        """Tells what is new; what was asked for and is not among it was never evaluated."""
        news = self._results.news(view)
        for config, loss in news:
            waiting = self._open.get(canonical({name: config[name] for name in self._names}))
            if waiting:
                self.optuna.tell(waiting.pop(0), loss)
            else:
                self._add(config, loss)
        if news:
            for asked in [trial for waiting in self._open.values() for trial in waiting]:
                self.optuna.tell(asked, state=TrialState.FAIL)
            self._open.clear()

    def _add(self, config: Config, loss: float) -> None:
        """A trial that somebody else proposed: the baseline, or a mechanism's."""
        params = self._axes.encode(config)
        self.optuna.add_trial(
            create_trial(params=params, distributions=self._distributions, value=loss)
        )


def _searched(space: SearchSpace, only: Sequence[str] | None) -> list[Parameter]:
    return [p for p in space.active if only is None or p.name in only]


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Category):
        return CategoricalDistribution(range(axis.count))
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high))
    return FloatDistribution(axis.low, axis.high, log=axis.log)
