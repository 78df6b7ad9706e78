"""Steps in a space: how far, where they stop, and what is not a step."""

from typing import Any

import pytest

from bilevel.mechanisms.shared.moves import distance, steps, ways
from bilevel.toolkit import open_parameters, step, unit
from tests.mechanisms.support import EVERY_KIND, view, walk


@pytest.mark.parametrize(
    ("name", "value", "way", "size", "after"),
    [
        ("RATE", 0.1, "up", 1 / 3, 1.0),
        ("RATE", 0.1, "down", 1 / 3, 0.01),
        ("RATE", 0.1, "up", 1.0, 1.0),
        ("RATE", 1.0, "up", 0.5, None),
        ("SHARE", 0.1, "up", 0.5, 0.35),
        ("SHARE", 0.0, "down", 0.5, None),
        ("ONLY", 2.0, "up", 0.5, None),
        ("LAYERS", 6, "down", 0.5, 4),
        ("LAYERS", 6, "down", 0.01, 5),
        ("BATCH", 16, "up", 0.01, 32),
        ("BATCH", 16, "down", 0.25, 4),
        ("BATCH", 16, "down", 1.0, 1),
        ("PATTERN", "S", "to 3", 0.5, 3),
        ("PATTERN", "S", "to S", 0.5, None),
        ("PATTERN", "S", "to X", 0.5, None),
        ("BETAS", (0.8, 0.95), "0 down", 0.5, (0.6, 0.95)),
        ("BETAS", (0.8, 0.95), "1 up", 1.0, (0.8, 0.999)),
    ],
)
def test_a_step(name: str, value: Any, way: str, size: float, after: Any) -> None:
    assert step(EVERY_KIND[name], value, way, size) == after


def test_every_step_is_legal_and_goes_the_way_it_says() -> None:
    for count in (1, 5, 40):
        at = view(walk(count))
        for size in (0.001, 0.1, 1.0):
            for (name, way), value in steps(at, size):
                parameter = EVERY_KIND[name]
                assert parameter.coerce(value) == value
                assert parameter.direction(at.base[name], value) == way
                assert way in ways(parameter)


def test_values_lie_in_the_unit_cube_and_ends_are_one_apart() -> None:
    assert unit(EVERY_KIND["RATE"], 1.0) == (1.0,)
    assert unit(EVERY_KIND["BATCH"], 16) == (0.5,)
    assert unit(EVERY_KIND["PATTERN"], "L") == (0.0, 1.0, 0.0)
    assert unit(EVERY_KIND["ONLY"], 2.0) == (0.0,)
    assert distance(EVERY_KIND["PATTERN"], "S", "L") == 1.0
    assert distance(EVERY_KIND["LAYERS"], 1, 6) == 1.0
    assert distance(EVERY_KIND["BETAS"], (0.5, 0.9), (0.6, 0.9)) == pytest.approx(0.25)


def test_what_is_frozen_or_locked_is_not_open() -> None:
    names = {parameter.name for parameter in open_parameters(view([], frozen=("RATE", "BETAS")))}
    assert names == {"SHARE", "ONLY", "LAYERS", "BATCH", "PATTERN", "SINGLE"}
