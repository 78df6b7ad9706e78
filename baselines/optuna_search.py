"""Optuna's samplers as proposers, over a task's own space or over the settings of a loop below."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial
from threadpoolctl import threadpool_limits

from bilevel.baselines.axes import BASELINE, MIDDLE, Axes, Axis, Category
from bilevel.baselines.results import FAR, Results, drawn_once
from bilevel.errors import ConfigError
from bilevel.parameters import Parameter
from bilevel.randomness import digest
from bilevel.space import Config, SearchSpace, canonical
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View

_ORIGIN = "optuna"


class OptunaSearch:
    """Asks a sampler for a whole configuration, and tells it every trial of the trace.

    `sampler` makes one from `seed=`. `only` are the parameters it searches (default: all active
    ones), the others stay as they are. A level above gives no `space`: its own is the settings of
    the loop below, and where that one lacks a name nothing is changed, with the reason said.
    `start` is for a sampler that begins at a point, and leaves choices to chance: the space's
    `baseline`, or the `middle` of its ranges; searches begun before there was one have none.
    `failures` is how a failed trial is told (baselines/results.py). `recorded` keeps what is drawn
    in the journal, for samplers that go by linear algebra: eigenvectors have other signs under
    other processors' kernels, and a search must go on, and come out again, anywhere. Raises
    ConfigError for parameters that the sampler cannot search.

    Akiba et al., "Optuna", KDD 2019.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        sampler: Callable[..., BaseSampler],
        only: Sequence[str] | None = None,
        start: str | None = None,
        failures: str = FAR,
        recorded: bool = False,
    ) -> None:
        if start not in (None, BASELINE, MIDDLE):
            raise ConfigError(f"start={start!r}: expected {BASELINE} or {MIDDLE}")
        self._sampler = sampler
        self._only = None if only is None else tuple(only)
        self._start = start
        self._failures = failures
        self._recorded = recorded
        self._study: _Study | None = None
        if space is not None:
            searched = Axes(_searched(space, self._only))
            if start is not None and not searched.lines:
                names = ", ".join(axis.name for axis in searched.all) or "none"
                raise ConfigError(
                    "CMA-ES searches numbers and would draw everything here at random; it needs at "
                    f"least one Float, Int, PowerOfTwo or Tuple, and the active parameters are: "
                    f"{names}; choose arm=random for that, or arm=tpe"
                )

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        missing = [name for name in self._only or () if name not in view.space]
        if missing:
            said = f"not searched: there is no parameter {', '.join(missing)}"
            return [Proposal({}, said, _ORIGIN)]
        if self._study is None:
            self._study = self._begun(view)
        self._study.learn(view)
        asked = self._study.ask(view if self._recorded else None)
        changes = {name: value for name, value in asked.items() if value != view.base[name]}
        return [Proposal(changes, f"drawn by {self._study.told}", _ORIGIN)]

    def _begun(self, view: View) -> "_Study":
        searched = _searched(view.space, self._only)
        seed = digest(view.seed, view.level, _ORIGIN) % 2**32
        own: dict[str, Any] = {"seed": seed}
        if self._start == BASELINE:
            at = Axes(searched).encode(view.space.baseline)
            own["x0"] = {line.name: at[line.name] for line in Axes(searched).lines}
        with warnings.catch_warnings():  # pyproject.toml caps optuna where this is removed
            warnings.filterwarnings("ignore", "`(x0|sigma0)` has been deprecated", FutureWarning)
            sampler = self._sampler(**own)
        chance = [] if self._start is None else Axes(searched).categories
        return _Study(searched, sampler, self._failures, [axis.name for axis in chance])


class _Study:
    """An Optuna study that minimises, and the trials asked for in this round."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        sampler: BaseSampler,
        failures: str,
        by_chance: Sequence[str],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.told = type(sampler).__name__
        if by_chance:
            self.told += f", {', '.join(by_chance)} at random"
        self.optuna = optuna.create_study(sampler=sampler, study_name="search")
        self._names = [parameter.name for parameter in parameters]
        self._axes = Axes(parameters)
        self._distributions = {axis.name: _distribution(axis) for axis in self._axes.all}
        self._open: dict[str, list[optuna.Trial]] = {}
        self._results = Results(failures)

    def ask(self, recorded_by: View | None) -> Config:
        """Draws a configuration; with `recorded_by`, the one that the journal holds for this
        trial, if any."""
        with threadpool_limits(1):  # a Gaussian process on several crawls beside other work
            asked = self.optuna.ask(self._distributions)
        config: Config = self._axes.decode(asked.params)
        if recorded_by is not None:
            config = drawn_once(recorded_by, dict(config))
        self._open.setdefault(canonical(config), []).append(asked)
        return config

    def learn(self, view: View) -> None:
        """Tells the study new results; configurations that were asked for but not evaluated
        count as failed."""
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
        """Adds a trial proposed elsewhere: the baseline, or a mechanism's."""
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
