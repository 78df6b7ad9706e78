"""What is asked of the package smac, and the two things that are not as it makes them.

Its forest sets aside a million leaves for each tree, for which a search waits a minute. And its
local search starts from a set of texts, in the order in which a process happens to hash them, so
that no search would come out again.
"""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float, Integer
from smac import HyperparameterOptimizationFacade as Facade
from smac import Scenario
from smac.acquisition.maximizer import LocalAndSortedRandomSearch, LocalSearch
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.model.random_forest.random_forest import RandomForest
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from bilevel.baselines.axes import Axis, Category

_TRIALS = 10**6  # how many there will be is for the loop to say
_LEAVES = 4096  # of a tree, which has at most one for each trial


def facade(
    searched: Sequence[Axis],
    start: Mapping[str, float],
    seed: int,
    *,
    initial: int,
    retrain_after: int,
    at_random: float,
) -> Any:
    """Return SMAC's hyperparameter facade, on one core; its output files are discarded."""
    logging.getLogger("smac").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space(searched, start),
            deterministic=True,
            n_trials=_TRIALS,
            seed=seed,
            output_directory=Path(folder),
        )
        return Facade(
            scenario,
            None,
            model=forest(scenario),
            acquisition_maximizer=_Steady(scenario),
            initial_design=Facade.get_initial_design(scenario, n_configs=initial, max_ratio=1.0),
            config_selector=Facade.get_config_selector(scenario, retrain_after=retrain_after),
            intensifier=Facade.get_intensifier(scenario, max_config_calls=1),
            random_design=Facade.get_random_design(scenario, probability=at_random),
            overwrite=True,
            logging_level=False,
        )


def space(searched: Sequence[Axis], start: Mapping[str, float]) -> Any:
    made = ConfigurationSpace()
    for axis in searched:
        own = {"name": axis.name, "default": start[axis.name]}
        if isinstance(axis, Category):
            made.add(Categorical(items=list(range(axis.count)), **own))
        elif axis.whole:
            made.add(Integer(bounds=(int(axis.low), int(axis.high)), **own))
        else:
            made.add(Float(bounds=(axis.low, axis.high), log=axis.log, **own))
    return made


def new(smac: Any) -> Any:
    """Return SMAC's next trial, or None where it has no other."""
    try:
        return smac.ask()
    except (StopIteration, ConfigurationSpaceExhaustedException):
        return None


def tell(smac: Any, asked: Any, at: Mapping[str, float], loss: float) -> None:
    """Adds the result of an asked trial, or of one proposed elsewhere."""
    if asked is None:
        own = smac.scenario.configspace
        config = Configuration(own, values={name: at[name] for name in own})
        asked = TrialInfo(config, seed=0)
    smac.tell(asked, TrialValue(cost=loss), save=False)


def forest(scenario: Any) -> Any:
    """Return the facade's own random forest, with fewer leaves allocated."""
    return RandomForest(
        scenario.configspace,
        log_y=True,
        n_trees=10,
        bootstrapping=True,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_leaf_nodes=_LEAVES,
        n_jobs=1,
        seed=scenario.seed,
    )


class _Steady(LocalAndSortedRandomSearch):  # type: ignore[misc]
    """SMAC's acquisition maximizer, with a local search that starts in a deterministic order."""

    def __init__(self, scenario: Any) -> None:
        super().__init__(
            scenario.configspace,
            challengers=10_000,
            local_search_iterations=10,
            seed=scenario.seed,
        )
        self._local_search = _Ordered(scenario.configspace, seed=scenario.seed)


class _Ordered(LocalSearch):  # type: ignore[misc]
    def _get_init_points_from_previous_configs(self, *given: Any, **named: Any) -> Any:
        found = super()._get_init_points_from_previous_configs(*given, **named)
        return sorted(found, key=lambda config: tuple(config.get_array()))
