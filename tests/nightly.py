"""Which variants of a test CI runs; `make nightly` runs the others."""

from collections.abc import Collection, Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def but_nightly(names: Iterable[str], nightly: Collection[str]) -> list[ParameterSet]:
    """Returns parameters for `parametrize`, of which those in `nightly` are left to the night.
    Raises ValueError for one that is not there."""
    every = list(names)
    if unknown := sorted({*nightly} - {*every}):
        raise ValueError(f"{unknown}: expected some of {every}")
    night = [pytest.mark.nightly]
    return [pytest.param(name, marks=night if name in nightly else []) for name in every]
