"""SMAC as a proposer: a random forest over a task's own space. The package is an optional extra."""

import importlib.util
from collections.abc import Sequence
from typing import Any

from bilevel.baselines.axes import Axes, Axis
from bilevel.baselines.results import FAR, Results
from bilevel.errors import ConfigError
from bilevel.randomness import digest
from bilevel.space import SearchSpace, canonical
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View

_ORIGIN = "smac"


class SmacSearch:
    """A proposer that asks SMAC for a whole configuration, and tells it every trial of the trace.

    `initial` configurations are a Sobol design beside the baseline; then the forest is trained anew
    after every `retrain_after` proposals, and the share `at_random` of proposals is drawn.
    `failures` is how a failed trial is told (baselines/results.py). Raises ConfigError where the
    package is missing, and for parameters that it cannot search.

    Lindauer et al., "SMAC3", JMLR 23, 2022.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        space: SearchSpace,
        *,
        initial: int,
        retrain_after: int,
        at_random: float,
        failures: str = FAR,
    ) -> None:
        if importlib.util.find_spec("smac") is None:
            raise ConfigError("arm=smac needs SMAC: .venv/bin/pip install -e '.[smac]'")
        if initial < 1 or retrain_after < 1:
            raise ConfigError(f"{initial=}, {retrain_after=}: expected at least 1 of each")
        if not 0 <= at_random <= 1:
            raise ConfigError(f"at_random={at_random!r}: expected a share in [0, 1]")
        self._options: dict[str, Any] = {
            "initial": initial,
            "retrain_after": retrain_after,
            "at_random": at_random,
        }
        self._axes = Axes(space.active)
        self._fixed = self._axes.encode(space.baseline)
        self._results = Results(failures)
        self._smac: Any = None
        self._open: dict[str, list[Any]] = {}

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        from bilevel.baselines.smac_facade import facade, new, tell

        if self._smac is None:
            seed = digest(view.seed, view.level, _ORIGIN) % 2**31
            searched: tuple[Axis, ...] = (*self._axes.lines, *self._axes.categories)
            self._smac = facade(searched, self._fixed, seed, **self._options)
        for config, loss in self._results.news(view):
            at = self._axes.encode(config)
            waiting = self._open.get(canonical(self._axes.decode(at)))
            tell(self._smac, waiting.pop(0) if waiting else None, at, loss)
        asked = new(self._smac)
        if asked is None:
            return [Proposal({}, "every configuration that SMAC finds has been tried", _ORIGIN)]
        config = self._axes.decode({**self._fixed, **asked.config})
        self._open.setdefault(canonical(config), []).append(asked)
        changes = {name: value for name, value in config.items() if value != view.base[name]}
        return [Proposal(changes, f"drawn by SMAC: {asked.config.origin}", _ORIGIN)]
