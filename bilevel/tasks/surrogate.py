"""Landscapes that answer in microseconds and whose optimum is known, for studying searches."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bilevel.errors import ConfigError
from bilevel.parameters import Choice, Float, Parameter, PowerOfTwo, Tuple
from bilevel.randomness import keyed
from bilevel.settings import Spread
from bilevel.space import Config, SearchSpace, canonical
from bilevel.tasks.base import Task
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import About

_Numbers = Mapping[str, float]


class Crash(Exception):
    """Raised for a configuration in a landscape's crash region."""


@dataclass(frozen=True)
class _Landscape:
    """An analytic landscape. `value` is noise-free and has its minimum at `optimum` (parameters
    left out: baseline)."""

    value: Callable[[_Numbers], float]
    noise_sd: float
    optimum: Mapping[str, float | str]


def _bowl(x: float, best: float, weight: float) -> float:
    """Return a quadratic in the logarithm: zero at `best`, `weight` at twice or half of it."""
    return weight * math.log2(max(x, 1e-12) / best) ** 2


def _idle(at: _Numbers) -> float:
    """Return the small effects of parameters that matter little, as distractions."""
    return (
        _bowl(at["EMBEDDING_LR"], 0.5, 0.002)
        + _bowl(at["UNEMBEDDING_LR"], 0.005, 0.002)
        + _bowl(at["SCALAR_LR"], 0.5, 0.0005)
        + 0.004 * abs(at["FINAL_LR_FRAC"] - 0.05)
        + 0.02 * at["WARMUP_RATIO"]
        + 0.03 * abs(at["WARMDOWN_RATIO"] - 0.5)
        + 0.002 * (at["WINDOW_PATTERN"] != 1)
    )


def _batch(doublings: float) -> float:
    """Return the published effect of TOTAL_BATCH_SIZE in doublings of 2**19: more hurts, less
    helps, then it crashes."""
    if doublings <= -3:
        raise Crash("TOTAL_BATCH_SIZE below 2**17: the optimiser's state overflowed")
    known = {-2: -0.06, -1: -0.04, 0: 0.0, 1: 0.06}
    return known[int(doublings)] if doublings <= 1 else 0.06 * doublings


def _trap(at: _Numbers) -> float:
    if at["DEVICE_BATCH_SIZE"] > 128:
        raise Crash("CUDA out of memory: DEVICE_BATCH_SIZE above 128")
    decay = -0.008 * min(2.0, math.log2(0.2 / max(at["WEIGHT_DECAY"], 0.05)))
    batch = _batch(math.log2(at["TOTAL_BATCH_SIZE"]) - 19)
    return 1.1 + batch + decay + _bowl(at["MATRIX_LR"], 0.05, 0.003) + _idle(at)


def _interaction(at: _Numbers) -> float:
    """A curved ridge: batch and learning rate help only when they move together."""
    batch = math.log2(at["TOTAL_BATCH_SIZE"]) - 19
    rate = math.log2(at["MATRIX_LR"] / 0.04)
    return 1.1 + 0.03 * (rate - batch) ** 2 + 0.005 * (batch + 2) ** 2 + _idle(at)


def _plateau(at: _Numbers) -> float:
    """A plateau around the baseline; the basin is two doublings away in one parameter."""
    rate = math.log2(at["UNEMBEDDING_LR"] / 0.004)
    basin = -0.08 * math.exp(-((rate - 2.5) ** 2) / 0.5)
    return 1.1 + basin + 0.02 * (math.log2(at["TOTAL_BATCH_SIZE"]) > 20)


def _noisy(at: _Numbers) -> float:
    """A landscape whose effects are as large as the noise."""
    batch = math.log2(at["TOTAL_BATCH_SIZE"]) - 19
    return 1.1 + 0.004 * (batch + 1) ** 2 + _bowl(at["MATRIX_LR"], 0.06, 0.01) + _idle(at)


_IDLE_OPTIMUM: dict[str, float | str] = {
    "EMBEDDING_LR": 0.5,
    "UNEMBEDDING_LR": 0.005,
    "SCALAR_LR": 0.5,
    "FINAL_LR_FRAC": 0.05,
    "WARMUP_RATIO": 0.0,
    "WARMDOWN_RATIO": 0.5,
    "WINDOW_PATTERN": "SSSS",
}

LANDSCAPES: Mapping[str, _Landscape] = {
    "trap": _Landscape(
        _trap,
        0.0009,
        {**_IDLE_OPTIMUM, "TOTAL_BATCH_SIZE": 2**17, "WEIGHT_DECAY": 0.05, "MATRIX_LR": 0.05},
    ),
    "interaction": _Landscape(
        _interaction, 0.0009, {**_IDLE_OPTIMUM, "TOTAL_BATCH_SIZE": 2**17, "MATRIX_LR": 0.01}
    ),
    "plateau": _Landscape(_plateau, 0.0009, {"UNEMBEDDING_LR": 0.004 * 2**2.5}),
    "noisy": _Landscape(
        _noisy, 0.0065, {**_IDLE_OPTIMUM, "TOTAL_BATCH_SIZE": 2**18, "MATRIX_LR": 0.06}
    ),
}

_WINDOWS = ("SSSL", "SSSS", "SSLL", "SLSL", "LLLL")

PARAMETERS: tuple[Parameter, ...] = (
    PowerOfTwo("HEAD_DIM", 32, 256, 128),
    Choice("WINDOW_PATTERN", _WINDOWS, "SSSL"),
    PowerOfTwo("TOTAL_BATCH_SIZE", 2**15, 2**22, 2**19),
    Float("EMBEDDING_LR", 0.01, 2.0, 0.6, log=True),
    Float("UNEMBEDDING_LR", 0.0005, 0.05, 0.004, log=True),
    Float("MATRIX_LR", 0.005, 0.2, 0.04, log=True),
    Float("SCALAR_LR", 0.05, 2.0, 0.5, log=True),
    Float("WEIGHT_DECAY", 0.0, 0.5, 0.2),
    Tuple("ADAM_BETAS", (0.5, 0.8), (0.99, 0.999), (0.8, 0.95)),
    Float("WARMUP_RATIO", 0.0, 0.3, 0.0),
    Float("WARMDOWN_RATIO", 0.1, 0.8, 0.5),
    Float("FINAL_LR_FRAC", 0.0, 0.2, 0.0),
    PowerOfTwo("DEVICE_BATCH_SIZE", 32, 256, 128),
)


class Surrogate(Task):
    """A task that answers in microseconds: an analytic landscape with a known optimum, with noise
    that is the same for the same configuration and seed."""

    noise_sd: float

    def __init__(self, landscape: str, noise_sd: Spread = None, name: str = "") -> None:
        if landscape not in LANDSCAPES:
            valid = ", ".join(LANDSCAPES)
            raise ConfigError(f"task.landscape={landscape} is unknown; valid: {valid}")
        self.name = name or landscape
        self.space = SearchSpace(PARAMETERS)
        self.objective = Objective("val_bpb")
        self._landscape = LANDSCAPES[landscape]
        self.noise_sd = self._landscape.noise_sd if noise_sd is None else noise_sd
        self.best_known = self.exact(self.optimum)

    @property
    def unseeded(self) -> str:
        return "" if self.noise_sd else "task.noise_sd=0 is a landscape without noise"

    @property
    def optimum(self) -> Config:
        """The configuration with the lowest noise-free value."""
        return {**self.space.baseline, **self._landscape.optimum}

    def exact(self, config: Config) -> float:
        """The noise-free value. Raises Crash inside a crash region."""
        numbers = {n: float(v) for n, v in config.items() if isinstance(v, int | float)}
        numbers["WINDOW_PATTERN"] = float(_WINDOWS.index(str(config["WINDOW_PATTERN"])))
        return self._landscape.value(numbers)

    def describe(self) -> About:
        return About(
            "A formula answers in place of a training run: nothing is trained, and a run costs "
            "nothing. The parameters have the names and starting values of karpathy/autoresearch's "
            "training script for a GPT, and val_bpb is what the formula makes of them. Some "
            "configurations crash. Equal configurations have equal values."
        )

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        try:
            value = self.exact(config)
        except Crash as crash:
            kind = FailureKind.OUT_OF_MEMORY if "memory" in str(crash) else FailureKind.CRASH
            return Outcome.failed(kind, str(crash))
        noise = keyed(seed, canonical(config)).gauss(0.0, self.noise_sd)
        return Outcome(value + noise)
