"""Permutation tests of equal means, and the smallest p that the data at hand could have given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from bilevel.statistics.power import DRAWN, best_choices, relabellings

_SEED = 20_260_323
_BATCH = 4096
_Sample = Sequence[float]


@dataclass(frozen=True)
class _Test:
    """The result of a two-sided permutation test. `relabellings` counts all that exist if
    `exact`, else those drawn. `smallest_p` is the least p that these values could have given,
    had they fallen to the arms as unevenly as they can: zero differences and ties make it
    larger."""

    p: float
    relabellings: int
    exact: bool
    smallest_p: float


def permutation_test(treated: _Sample, control: _Sample, *, paired: bool) -> _Test | None:
    """Return a permutation test of equal means, exact or by random relabellings; paired, signs
    of the differences are flipped, else labels are exchanged. None for fewer than two seeds."""
    if min(len(treated), len(control)) < 2:
        return None
    ways, exact = relabellings(len(treated), len(control), paired=paired)
    a, b = np.asarray(treated, float), np.asarray(control, float)
    if paired:
        return _Test(_flipped(a - b, exact), ways, exact, _smallest_flipped(a - b, ways))
    return _Test(_exchanged(a, b, exact), ways, exact, _smallest_exchanged(a, b, ways))


def _flipped(apart: Any, exact: bool) -> float:
    dust = 1e-12 * float(np.sum(np.abs(apart)))
    least = abs(float(np.sum(apart))) - dust
    if exact:
        sums = np.zeros(1)
        for one in apart:
            sums = np.concatenate((sums + one, sums - one))
        return float(np.mean(np.abs(sums) >= least))
    rng, extreme = np.random.default_rng(_SEED), 1
    for start in range(0, DRAWN, _BATCH):
        signs = rng.integers(0, 2, (min(_BATCH, DRAWN - start), len(apart)), dtype=np.int8) * 2 - 1
        extreme += int(np.sum(np.abs(signs @ apart) >= least))
    return extreme / (DRAWN + 1)


def _exchanged(a: Any, b: Any, exact: bool) -> float:
    done = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        permutation_type="independent",
        n_resamples=np.inf if exact else DRAWN,
        vectorized=True,
        batch=_BATCH,
        alternative="two-sided",
        rng=np.random.default_rng(_SEED),
    )
    return float(done.pvalue)


def _smallest_flipped(apart: Any, ways: int) -> float:
    dust = 1e-12 * max(1.0, float(np.max(np.abs(apart))))
    apart_n = int(np.sum(np.abs(apart) > dust))
    return max(2 / ways, min(1.0, 2.0 ** (1 - apart_n)))


def _smallest_exchanged(a: Any, b: Any, ways: int) -> float:
    from math import comb

    pool = [*map(float, a), *map(float, b)]
    fewest = min(best_choices(pool, len(a)), best_choices([-x for x in pool], len(a)))
    return max(2 / ways, min(1.0, 2 * fewest / comb(len(pool), len(a))))
