"""What the stand-in knows of other fields: the families of mechanism that it can think of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import Template

_SOURCES = Path(__file__).parent / "sources"


@dataclass(frozen=True)
class Family:
    """One kind of mechanism. `template` and `kind` are its source file and its class in there;
    `helps_with` are the symptoms it comes to mind for; `numbers` fill the source's blanks."""

    template: str
    kind: str
    domain: str
    helps_with: tuple[str, ...]
    ideas: tuple[str, ...]
    names: tuple[str, ...]
    carriers: tuple[str, ...]
    hooks: tuple[str, ...]
    behaviour: str
    numbers: Mapping[str, tuple[float, ...]]

    def source(self, name: str, carrier: str, rng: Random) -> str:
        """A whole module, its numbers drawn."""
        drawn = {key: str(rng.choice(values)) for key, values in self.numbers.items()}
        text = (_SOURCES / f"{self.template}.txt").read_text()
        return Template(text).substitute(drawn, name=name, carrier=carrier)


FAMILIES = (
    Family(
        template="foraging",
        kind="PatchLeaving",
        domain="foraging theory",
        helps_with=("repetition",),
        ideas=(
            "a forager leaves a patch that brings nothing; leave a parameter after a few failures",
            "apply a giving-up rule: moves of an exhausted parameter are not evaluated for a while",
        ),
        names=("patch_leaving", "giving_up_rule", "exhausted_patches"),
        carriers=("code", "principle"),
        hooks=("review",),
        behaviour="Drops candidates that move a parameter which failed several times in a row "
        "lately, until a number of trials has passed.",
        numbers={"failures": (2, 3, 4), "regrows": (8, 10, 12, 15), "stays": (0.05, 0.1, 0.2)},
    ),
    Family(
        template="clonal",
        kind="Clones",
        domain="clonal selection",
        helps_with=("streak",),
        ideas=(
            "clone the moves that were kept, recombine two of them and mutate their length",
            "keep a memory of successful moves and go on where they were going, a little varied",
        ),
        names=("clonal_moves", "memory_cells", "affinity_clones"),
        carriers=("code", "workflow"),
        hooks=("propose", "review"),
        behaviour="Every few trials proposes a recombination of moves that were kept, each a "
        "little shorter or longer, and puts it before the other candidates.",
        numbers={"every": (2, 3, 4), "low": (0.3, 0.5), "high": (1.2, 1.6, 2.0), "cells": (4, 6)},
    ),
    Family(
        template="annealing",
        kind="Annealing",
        domain="simulated annealing",
        helps_with=("streak",),
        ideas=(
            "accept a slightly worse trial with a probability that falls as the search cools",
            "escape the present basin by keeping something worse now and then, less and less",
        ),
        names=("cooling_acceptance", "thermal_escape", "metropolis"),
        carriers=("evaluator", "code"),
        hooks=("accept",),
        behaviour="Keeps a worse trial with probability exp(-worse / temperature); the "
        "temperature falls with every trial.",
        numbers={"hot": (0.5, 1.0, 2.0), "cooling": (0.9, 0.94, 0.97), "rest": (2, 3, 5)},
    ),
    Family(
        template="elites",
        kind="Elites",
        domain="quality-diversity",
        helps_with=("streak", "repetition"),
        ideas=(
            "keep an archive with the best trial of every niche and build on a rare one in turn",
            "illuminate the space: restart from elites that differ from the incumbent",
        ),
        names=("niche_elites", "elite_archive", "map_of_elites"),
        carriers=("code", "memory schema"),
        hooks=("parent",),
        behaviour="Every few trials builds on the elite of the niche that was visited least "
        "instead of on the incumbent.",
        numbers={"every": (2, 3, 4, 5), "reach": (1, 2, 3)},
    ),
    Family(
        template="design",
        kind="OneFactor",
        domain="experimental design",
        helps_with=("untried", "repetition"),
        ideas=(
            "vary one factor at a time and take the factors that were varied least first",
            "propose single moves in directions that no trial has gone yet",
        ),
        names=("one_factor", "untried_moves", "balanced_factors"),
        carriers=("code", "skill"),
        hooks=("propose", "review"),
        behaviour="Every few trials proposes a single move that was never tried, of the "
        "parameter with the fewest trials, and puts it first.",
        numbers={"every": (2, 3, 4), "draws": (4, 6, 8)},
    ),
    Family(
        template="survey",
        kind="Stratified",
        domain="survey sampling",
        helps_with=("repetition",),
        ideas=(
            "show the proposer a balanced sample of trials instead of the whole history",
            "stratify the history by parameter, so that a favourite does not dominate the prompt",
        ),
        names=("stratified_history", "balanced_sample", "quota_sample"),
        carriers=("prompt", "memory schema"),
        hooks=("brief",),
        behaviour="Shows every kept trial and at most a few discarded ones for each parameter, "
        "and says how many there are of each.",
        numbers={"per_stratum": (1, 2, 3), "least": (4, 6, 8)},
    ),
    Family(
        template="reliability",
        kind="OutOfService",
        domain="reliability engineering",
        helps_with=("failures",),
        ideas=(
            "keep a failure log by kind of move, and take a kind that keeps failing out of service",
            "treat a crash as a defect of a move: stop using it until it was seen to survive",
        ),
        names=("failure_log", "out_of_service", "weak_parts"),
        carriers=("world model", "code"),
        hooks=("brief", "review"),
        behaviour="Names the moves that crashed to the proposer and drops candidates that make "
        "one of them.",
        numbers={"strikes": (1, 2), "burn_in": (0.05, 0.1)},
    ),
)
