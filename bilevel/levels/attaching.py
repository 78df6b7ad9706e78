"""Attaches what level 2 proposes to the loop that tries the task, and takes it off again."""

from collections.abc import Mapping
from typing import Any

from hydra.utils import instantiate

from bilevel.invention import Invention
from bilevel.loop.activations import COIN
from bilevel.loop.loop import Loop
from bilevel.mechanism import Mechanism
from bilevel.randomness import keyed
from bilevel.sandbox.confined_mechanism import proxy
from bilevel.sandbox.worker_handle import Limits


class Attaching:
    """Attaches the mechanisms that a level above proposes to the innermost loop.

    With `coin`, an attached mechanism acts in every other round on average, until it is kept.

    `instead` is what is attached in the place of whatever was admitted: the configuration of a
    mechanism (a placebo, for the control that pays for every call), or "nothing".
    """

    def __init__(
        self,
        limits: Limits,
        *,
        coin: bool = False,
        instead: Mapping[str, Any] | str | None = None,
    ) -> None:
        self._limits = limits
        self._coin = coin
        self._instead = instead

    def attach(self, loop: Loop, mechanism: Invention | None) -> str:
        """Attaches the mechanism to the loop; returns its name, or "" where there is nothing to
        attach."""
        if mechanism is None or not mechanism.admitted or self._instead == "nothing":
            return ""
        made = self._made(mechanism)
        name, seed = made.name, loop.seed

        def coin(trial: int) -> bool:
            return keyed(seed, loop.level, trial, f"{COIN}/{name}").random() < 0.5

        loop.pipeline.attach(made, len(loop.trace), coin if self._coin else None)
        return name

    def _made(self, mechanism: Invention) -> Mechanism:
        name = mechanism.name
        if self._instead is None:
            described = name, mechanism.carrier, mechanism.hooks
            return proxy(mechanism.source, *described, self._limits)
        made: Mechanism = instantiate(self._instead)
        made.name = f"{made.name}_for_{name}"  # type: ignore[misc]
        return made
