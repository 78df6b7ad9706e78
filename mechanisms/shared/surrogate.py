"""An exact Gaussian process over a search space, and the improvement it expects.

Jones, Schonlau and Welch, Journal of Global Optimization 13, 1998. The hyperparameters are taken
from a grid by marginal likelihood: no optimiser, so nothing to converge differently elsewhere.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from bilevel.parameters import Parameter
from bilevel.space import Config
from bilevel.toolkit import unit

_LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of ranges
_NOISES = (1e-4, 1e-2, 1e-1)  # variance, in units of the variance of the losses
_NEAREST = 1e-9
_Array = Any


class GaussianProcessModel:
    """An exact Gaussian process over the unit cube of the active parameters."""

    def __init__(
        self, parameters: Sequence[Parameter], configs: Sequence[Config], losses: Sequence[float]
    ) -> None:
        self._parameters = parameters
        measured = np.array(losses)
        scaled = (measured - measured.mean()) / measured.std()
        points = self._points(configs)
        fits = []
        for length, noise in product(_LENGTHS, _NOISES):
            kernel = Matern(length_scale=length, nu=2.5)
            model = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
            fits.append(model.fit(points, scaled))
        self._model = max(fits, key=lambda model: float(model.log_marginal_likelihood_value_))
        self._best = float(self._model.predict(points).min())

    def improvement(self, configs: Sequence[Config]) -> list[float]:
        """Return the expected improvement of each configuration, in standard deviations of the
        measured losses."""
        means, deviations = self._model.predict(self._points(configs), return_std=True)
        gains = []
        for mean, deviation in zip(means, deviations, strict=True):
            spread = max(float(deviation), _NEAREST)
            z = (self._best - float(mean)) / spread
            density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
            gains.append(spread * (z * (1 + math.erf(z / math.sqrt(2))) / 2 + density))
        return gains

    def _points(self, configs: Sequence[Config]) -> _Array:
        """Return the coordinates of configurations: (configurations, coordinates)."""
        return np.array(
            [[x for p in self._parameters for x in unit(p, c[p.name])] for c in configs]
        )
