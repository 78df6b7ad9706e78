"""Seeds belong to the evaluator: whatever a script asks for in the usual ways, its streams begin at
the trial's.

Choosing the seed that happens to do well is the cheapest way to a better number.
"""

from __future__ import annotations

import _random
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def fix(seed: int) -> None:
    """Seeds everything, and makes later seeding calls start the same streams again. What torch
    keeps in C (`default_generator.manual_seed`) can still be set: README.md."""
    small = seed % 2**32
    seed_torch = torch.manual_seed

    def torch_again(*_: Any) -> torch.Generator:
        return seed_torch(seed)

    torch.manual_seed = torch.random.manual_seed = torch_again  # type: ignore[assignment]
    torch.seed = torch.random.seed = lambda: torch_again().initial_seed()
    torch.set_rng_state = torch.random.set_rng_state = torch_again  # type: ignore[assignment]
    torch.Generator = _generator(torch.Generator, seed)  # type: ignore[misc]
    np.random.seed = np.random.set_state = _ignoring(np.random.seed, small)
    for name in (*_BIT_GENERATORS, "default_rng"):
        _everywhere(name, _ignoring(getattr(np.random, name), small))
    _everywhere("RandomState", _state(np.random.RandomState, small))
    random.seed = random.setstate = _ignoring(random.seed, seed)
    random.Random = _random.Random = _python(random.Random, seed)  # type: ignore[misc]
    torch.manual_seed(seed)
    np.random.seed(small)
    random.seed(seed)


def _everywhere(name: str, made: Any) -> None:
    """In all of numpy's modules that have it."""
    for path, module in list(sys.modules.items()):
        if path.startswith("numpy.random") and hasattr(module, name):
            setattr(module, name, made)


def _ignoring(make: Callable[[int], Any], seed: int) -> Any:
    return lambda *_, **__: make(seed)


def _generator(kind: Any, seed: int) -> Any:
    class Generator(kind):  # type: ignore[misc]
        def __init__(self, *_: Any, **__: Any) -> None:
            kind.manual_seed(self, seed)

        def manual_seed(self, _: int) -> Any:
            return kind.manual_seed(self, seed)

        def seed(self) -> Any:
            return kind.manual_seed(self, seed).initial_seed()

    return Generator


def _state(kind: Any, seed: int) -> Any:
    class RandomState(kind):  # type: ignore[misc]
        def __init__(self, *_: Any) -> None:
            super().__init__(seed)

        def seed(self, *_: Any) -> None:
            super().seed(seed)

    return RandomState


def _python(kind: Any, seed: int) -> Any:
    class Random(kind):  # type: ignore[misc]
        def seed(self, *_: Any, **__: Any) -> None:
            super().seed(seed)

    return Random
