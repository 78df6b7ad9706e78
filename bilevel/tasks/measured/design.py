"""Which configurations are measured, so that a model of the task can be fitted to what they give.

Half of them fill the space, a quarter lie near the baseline, a quarter near the best ones so far,
where searches go; a tenth are measured again at another seed, which tells the noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bilevel.parameters import Parameter, Value
from bilevel.randomness import keyed
from bilevel.space import Config, SearchSpace, canonical
from bilevel.tasks.measured.records import Measurement
from bilevel.toolkit import owners, snapped, step, unit
from bilevel.trace import Objective

FILL, NEAR_BASELINE, NEAR_BEST, REPEAT = "fill", "near baseline", "near best", "repeat"
_BLOCK = (FILL, NEAR_BASELINE, FILL, NEAR_BEST, FILL, FILL, NEAR_BASELINE, FILL, NEAR_BEST, REPEAT)
BLOCK = len(_BLOCK)
_ELITES = 20  # the best so far, near which the next ones lie
_MOST_MOVED = 3  # parameters, of a configuration near another one
_SIZES = (0.03, 0.4)  # of a step, as a share of the range
_DRAWS = 100  # until one is new


@dataclass(frozen=True)
class Planned:
    """A configuration to be measured at a training seed, and why."""

    config: Config
    seed: int
    why: str


class Design:
    """A sequence of configurations without end. Ten at a time are drawn, from `seed` and from what
    the tens before came to; the first of `seeds` is the training seed of all but repeats."""

    def __init__(
        self, space: SearchSpace, objective: Objective, seeds: Sequence[int], seed: int
    ) -> None:
        self._space, self._objective = space, objective
        self._seeds, self._seed = tuple(seeds), seed
        self._open = tuple(p for p in space.active if unit(p, p.baseline))

    def block(self, number: int, before: Sequence[Measurement]) -> list[Planned]:
        """The ten with this number, given all measurements before them. None was measured before,
        unless a hundred draws found nothing new."""
        seen = {(canonical(m.config), m.seed) for m in before}
        made: list[Planned] = []
        for place, why in enumerate(_BLOCK):
            rng = keyed(self._seed, "measured", number, place)
            drawn = self._drawn(why, number * BLOCK + place, before, rng)
            for _ in range(_DRAWS):
                one = next(drawn)
                key = canonical(one.config), one.seed
                if key not in seen:
                    break
            seen.add(key)
            made.append(one)
        return made

    def _drawn(
        self, why: str, number: int, before: Sequence[Measurement], rng: Random
    ) -> Iterator[Planned]:
        """Candidates for one place, without end."""
        first, baseline = self._seeds[0], self._space.baseline
        ranked = self._ranked(before)
        if why == REPEAT and ranked and len(self._seeds) > 1:
            while True:
                yield Planned(rng.choice(ranked).config, rng.choice(self._seeds[1:]), REPEAT)
        if why == NEAR_BEST and ranked:
            while True:
                near = rng.choice(ranked[:_ELITES]).config
                yield Planned(self._moved(near, rng), first, NEAR_BEST)
        if why == NEAR_BASELINE:
            while True:
                yield Planned(self._moved(baseline, rng), first, NEAR_BASELINE)
        for config in self._filling(number):
            yield Planned({**baseline, **config}, first, FILL)

    def _ranked(self, before: Sequence[Measurement]) -> list[Measurement]:
        """Those that have a value at the first seed, the best first."""
        found = [m for m in before if m.value is not None and m.seed == self._seeds[0]]
        return sorted(found, key=lambda m: self._objective.loss(m.value or 0.0))

    def _filling(self, number: int) -> Iterator[Mapping[str, Value]]:
        """Points of a scrambled Sobol sequence from this place of it on, without end."""
        import numpy as np
        from scipy.stats import qmc

        width = len(owners(self._open))
        scrambled = keyed(self._seed, "measured", "fill").randrange(2**32)
        sequence = qmc.Sobol(width, rng=np.random.default_rng(scrambled))
        if number:
            sequence.fast_forward(number)
        while True:
            yield snapped(self._open, sequence.random(1)[0].tolist())

    def _moved(self, config: Config, rng: Random) -> Config:
        """The configuration with up to three parameters a step away; a step may be cut off at the
        bound."""
        made = dict(config)
        for parameter in rng.sample(self._open, min(len(self._open), rng.randint(1, _MOST_MOVED))):
            made[parameter.name] = _stepped(parameter, made[parameter.name], rng)
        return made


def _stepped(parameter: Parameter, value: Value, rng: Random) -> Value:
    ways = list(parameter.directions)
    rng.shuffle(ways)
    low, high = _SIZES
    size = low * (high / low) ** rng.random()
    for way in ways:
        found = step(parameter, value, way, size)
        if found is not None:
            return found
    return value
