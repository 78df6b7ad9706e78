"""Axes: every legal value has a place, and every place a legal value."""

from random import Random

import pytest

from bilevel.baselines.axes import Axes, Line, axes
from bilevel.errors import ConfigError
from bilevel.parameters import PowerOfTwo, Subset, Text, Tuple
from tests.baselines.support import spaces


@pytest.mark.parametrize("name", ["every kind", "trap", "cpu_gpt"])
def test_a_configuration_survives_the_way_there_and_back(name: str) -> None:
    space = spaces()[name]
    made = Axes(space.active)
    rng = Random(1)
    for _ in range(50):
        config = {p.name: p.sample(rng) for p in space.active}
        assert made.decode(made.encode(config)) == config


@pytest.mark.parametrize("name", ["every kind", "trap", "cpu_gpt"])
def test_every_coordinate_is_a_legal_value(name: str) -> None:
    space = spaces()[name]
    made = Axes(space.active)
    for unit in (-0.5, 0.0, 0.123456789, 0.5, 0.999999, 1.0, 7.0):
        at = {a.name: a.place(unit) if isinstance(a, Line) else a.count - 1 for a in made.all}
        config = made.decode(at)
        assert space.check(config) == config
        for axis in made.all:
            if isinstance(axis, Line) and 0 < unit < 1 and not axis.whole and axis.high > axis.low:
                assert axis.unit(axis.place(unit)) == pytest.approx(unit)


def test_a_power_of_two_is_its_exponent_and_a_tuple_one_line_a_place() -> None:
    assert axes(PowerOfTwo("B", 2, 16, 4)) == (Line("B", 1, 4, whole=True, power=True),)
    lines = axes(Tuple("T", (0.0, 1.0), (1.0, 2.0), (0.5, 1.5)))
    assert lines == (Line("T[0]", 0.0, 1.0), Line("T[1]", 1.0, 2.0))


def test_a_coordinate_is_shown_in_the_parameter_s_own_units() -> None:
    exponents = Line("B", 1, 4, whole=True, power=True)
    assert [exponents.own(x) for x in (-1.0, 0.5, 0.625, 1.0)] == [2, 2**2.5, 8, 16]
    assert Line("N", 1, 4, whole=True).own(0.5) == 2.5
    assert Line("R", 0.01, 1.0, log=True).own(0.5) == pytest.approx(0.1)


def test_whole_numbers_have_equal_shares_of_the_coordinates() -> None:
    line = Line("N", 1, 4, whole=True)
    drawn = [line.place((n + 0.5) / 400) for n in range(400)]
    assert [drawn.count(n) for n in (1, 2, 3, 4)] == [100] * 4


@pytest.mark.parametrize("parameter", [Subset("S", ("a", "b")), Text("T", 10)])
def test_what_no_sampler_searches_is_told(parameter: Subset | Text) -> None:
    with pytest.raises(ConfigError, match=r"[ST] is a (Subset|Text): .* lock it"):
        axes(parameter)
