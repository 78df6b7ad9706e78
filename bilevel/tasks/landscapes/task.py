"""Landscapes by number: two halves of one distribution, for training a search and judging it."""

from typing import Annotated

from bilevel.errors import ConfigError
from bilevel.randomness import keyed
from bilevel.settings import Spread, Whole, one_of
from bilevel.space import Config, canonical
from bilevel.tasks.base import Task
from bilevel.tasks.landscapes.generator import draw
from bilevel.tasks.surrogate import Crash
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import About

_HALVES = ("training", "held_out")
_SAID = {
    FailureKind.CRASH: "the run crashed",
    FailureKind.OUT_OF_MEMORY: "the run was out of memory",
}


class Landscape(Task):
    """The landscape with this number in its half, which decide all of it; noise, which is the same
    for the same configuration and seed, is the landscape's own unless it is given."""

    noise_sd: float
    best_known: float

    def __init__(
        self,
        number: Whole,
        half: Annotated[str, *one_of(_HALVES)] = "training",
        noise_sd: Spread = None,
        name: str = "",
    ) -> None:
        if half not in _HALVES:
            raise ConfigError(f"task.half={half} is unknown; valid: {', '.join(_HALVES)}")
        drawn = draw(keyed(number, "landscape", half))
        self.name = name or f"landscape-{half}-{number}"
        self.space = drawn.space
        self.objective = Objective("loss")
        self.noise_sd = drawn.noise_sd if noise_sd is None else noise_sd
        self._drawn = drawn
        self.best_known = self.exact(drawn.optimum)

    @property
    def unseeded(self) -> str:
        return "" if self.noise_sd else "this landscape is without noise: set task.noise_sd"

    @property
    def optimum(self) -> Config:
        """A configuration with the lowest noise-free value."""
        return dict(self._drawn.optimum)

    @property
    def traits(self) -> tuple[str, ...]:
        """The shapes of what holds the gain, cliffs, idle parameters, and the kinds of baseline and
        noise, for reports: no proposer is told."""
        return self._drawn.traits

    def exact(self, config: Config) -> float:
        """The noise-free value. Raises Crash inside a crash region."""
        drawn = self._drawn
        at = [unit for name, encode in drawn.encoders for unit in encode(config[name])]
        for cliff in drawn.cliffs:
            if cliff(at):
                raise Crash(cliff.kind)
        return drawn.floor + drawn.scale * sum(
            weight * effect(at) for weight, effect in drawn.parts
        )

    def describe(self) -> About:
        crashes = " Some configurations may crash." if self._drawn.cliffs else ""
        return About(
            "A formula answers in place of a training run: nothing is trained, and a run costs "
            "nothing. The names of the parameters and of the metric are neutral: they mean "
            f"nothing. Equal configurations have equal values.{crashes}"
        )

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        try:
            value = self.exact(config)
        except Crash as crash:
            kind = FailureKind(str(crash))
            return Outcome.failed(kind, _SAID[kind])
        noise = keyed(seed, canonical(config)).gauss(0.0, self.noise_sd)
        return Outcome(value + noise)
