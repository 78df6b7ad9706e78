"""A classical arm searches bit for bit as a short script around its library would."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.trial import create_trial

from bilevel.randomness import digest
from tests.baselines.support import proposer
from tests.helpers import SPACE, Parabola, loop

DISTRIBUTIONS = {
    "X": FloatDistribution(-10.0, 10.0),
    "BATCH": IntDistribution(0, 10),
    "MODE": CategoricalDistribution((0, 1)),
}
START = {"X": 5.0, "BATCH": 6, "MODE": 0}
Script = Callable[[int, int], list[tuple[float, int, str]]]  # of a seed and a number of trials


def parabola(x: float, exponent: int, mode: int) -> float | None:
    return None if mode else x**2 + (exponent + 1) - 1.0  # summed as the task sums it


def far(values: list[float]) -> float:
    """The loss of a crash for whoever goes by rank."""
    return max(values) + 10 * max(max(values) - min(values), abs(max(values)), 1.0)


def near(values: list[float]) -> float:
    """The loss of a crash for whoever fits the values."""
    return max(values) + (max(values) - min(values) or 0.1 * max(abs(max(values)), 1.0))


def tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, n_startup_trials=10, multivariate=True, constant_liar=True)


def cmaes(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return CmaEsSampler(seed=seed, x0={"X": 5.0, "BATCH": 6}, warn_independent_sampling=False)


def gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed, n_startup_trials=5, warn_independent_sampling=False)


def with_optuna(
    sampler: Callable[[int], BaseSampler], crash: Callable[[list[float]], float]
) -> Script:
    def script(seed: int, trials: int) -> list[tuple[float, int, str]]:
        study = optuna.create_study(sampler=sampler(digest(seed, 1, "optuna") % 2**32))
        values, asked = [31.0], []
        study.add_trial(create_trial(params=START, distributions=DISTRIBUTIONS, value=31.0))
        for _ in range(trials):
            trial = study.ask()
            x = trial.suggest_float("X", -10.0, 10.0)
            exponent = trial.suggest_int("BATCH", 0, 10)
            mode = trial.suggest_categorical("MODE", (0, 1))
            x = float(f"{x:.6g}")
            asked.append((x, 2**exponent, ("plain", "crash")[mode]))
            value = parabola(x, exponent, mode)
            if value is not None:
                values.append(value)
            study.tell(trial, crash(values) if value is None else value)
        return asked

    return script


def with_smac(seed: int, trials: int, folder: Path) -> list[tuple[float, int, str]]:
    """The facade as it comes, for a budget of 28 trials, of which a quarter are its design."""
    from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float, Integer
    from smac import HyperparameterOptimizationFacade as Facade
    from smac import Scenario
    from smac.runhistory.dataclasses import TrialInfo, TrialValue

    space = ConfigurationSpace()
    space.add(Float("X", (-10.0, 10.0)), Integer("BATCH", (0, 10)), Categorical("MODE", [0, 1]))
    own = digest(seed, 1, "smac") % 2**31
    scenario = Scenario(space, deterministic=True, n_trials=28, seed=own, output_directory=folder)
    selector = Facade.get_config_selector(scenario, retrain_after=1)
    smac = Facade(scenario, None, config_selector=selector, overwrite=True, logging_level=False)
    values, asked = [31.0], []
    smac.tell(TrialInfo(Configuration(space, START), seed=0), TrialValue(cost=31.0), save=False)
    for _ in range(trials):
        trial = smac.ask()
        x, exponent, mode = (trial.config[name] for name in ("X", "BATCH", "MODE"))
        x = float(f"{x:.6g}")
        asked.append((x, 2**exponent, ("plain", "crash")[mode]))
        value = parabola(x, exponent, mode)
        if value is not None:
            values.append(value)
        smac.tell(trial, TrialValue(cost=far(values) if value is None else value), save=False)
    return asked


def searched(arm: str, seed: int, trials: int) -> list[tuple[Any, ...]]:
    ran = loop(task=Parabola(), proposer=proposer(arm, SPACE), trials=trials, seed=seed)
    ran.run()
    assert any(trial.value is None for trial in ran.trace)
    return [tuple(t.config.values()) for t in ran.trace[1:]]


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("arm", "sampler"), [("tpe", tpe), ("cmaes", cmaes)])
def test_optuna_s_samplers(arm: str, sampler: Callable[[int], BaseSampler], seed: int) -> None:
    assert searched(arm, seed, 30) == with_optuna(sampler, far)(seed, 30)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_gaussian_process(seed: int) -> None:
    assert searched("gp", seed, 12) == with_optuna(gp, near)(seed, 12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_smac(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the order in which its local search starts: that of texts in a set, which is another
    one in every process, so that the script alone would not come out again."""
    maximizer = pytest.importorskip("smac.acquisition.maximizer.local_search").LocalSearch
    starts = maximizer._get_init_points_from_previous_configs

    def ordered(*given: Any, **named: Any) -> Any:
        return sorted(starts(*given, **named), key=lambda config: tuple(config.get_array()))

    ours = searched("smac", seed, 12)
    monkeypatch.setattr(maximizer, "_get_init_points_from_previous_configs", ordered)
    assert ours == with_smac(seed, 12, tmp_path)
