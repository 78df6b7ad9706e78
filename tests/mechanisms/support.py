"""Searches and views for the tests of mechanisms."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from bilevel import mechanisms
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.scripted.minimal import instance
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Greedy
from bilevel.loop.activations import Effect
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice, Float, Int, PowerOfTwo, Tuple
from bilevel.proposers.llm import LLMProposer
from bilevel.space import Config, SearchSpace
from bilevel.tasks.base import Task
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Decision, FailureKind, Objective, Outcome, Proposal, Trace, Trial
from bilevel.view import NO_SETTINGS, Answer, Asker, View, nobody

EVERY_KIND = SearchSpace(
    (
        Float("RATE", 0.001, 1.0, 0.1, log=True),
        Float("SHARE", 0.0, 0.5, 0.0),
        Float("ONLY", 2.0, 2.0, 2.0),
        Int("LAYERS", 1, 6, 6),
        PowerOfTwo("BATCH", 1, 256, 16),
        Choice("PATTERN", ("S", "L", 3), "S"),
        Choice("SINGLE", ("one",), "one"),
        Tuple("BETAS", (0.5, 0.9), (0.9, 0.999), (0.8, 0.95)),
        Int("HELD", 0, 9, 5),
    ),
    locked=("HELD",),
)


FREELY_WRITTEN = (
    *("coordinate_yield", "extra_trees", "kriging_ensemble", "pooled_moves"),
    *("relevance_gaussian_process", "separable_bowl"),
)
"""By a language model: whole texts that admission takes as they stand, and search methods, which
take every trial."""


COMPUTES = tuple(n for n in FREELY_WRITTEN if n not in ("coordinate_yield", "pooled_moves"))
"""Those that fit models at every call: their contract takes minutes."""


def weighed(names: Sequence[str]) -> list[Any]:
    """Names as parameters of a test, those of COMPUTES for `make nightly`."""
    return [pytest.param(n, marks=pytest.mark.nightly) if n in COMPUTES else n for n in names]


def kinds() -> list[Any]:
    """Every class as a parameter of a test, those of COMPUTES for `make nightly`."""
    mark = {True: [pytest.mark.nightly], False: []}
    return [pytest.param(k, marks=mark[k.name in COMPUTES], id=k.name) for k in classes()]


def classes() -> list[type[Mechanism]]:
    found = []
    for module in pkgutil.iter_modules(mechanisms.__path__):
        if module.ispkg:
            continue  # what they share
        loaded = importlib.import_module(f"bilevel.mechanisms.{module.name}")
        own = [
            member
            for _, member in inspect.getmembers(loaded, inspect.isclass)
            if issubclass(member, Mechanism) and member.__module__ == loaded.__name__
        ]
        assert len(own) == 1, f"mechanisms/{module.name}.py: one class a file"
        found += own
    return found


def search(
    *attached: Mechanism,
    task: Task | str = "trap",
    seed: int = 1,
    trials: int = 25,
    journal: Journal | None = None,
) -> Loop:
    """A search by the stand-in model, run to its end without an error of a mechanism."""
    searched = Surrogate(task) if isinstance(task, str) else task
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    kept = journal or Journal(None)
    with Session(client, kept, CallLedger(), seed) as session:
        made = Loop(
            task=searched,
            proposer=LLMProposer(searched.space),
            acceptance=Greedy(),
            trials=trials,
            seed=seed,
            journal=kept,
            asker=session.asker,
            pipeline=Pipeline(attached),
        )
        made.run()
    assert errors(made) == []
    return made


def errors(ran: Loop) -> list[str]:
    return [row.error for row in ran.pipeline.ledger.rows() if row.effect is Effect.ERROR]


def own(ran: Loop, name: str) -> list[Trial]:
    """The trials that a mechanism proposed."""
    return [trial for trial in ran.trace if trial.proposal.origin == name]


def answering(seen: list[str] | None = None, problem: str = "") -> Asker:
    """Answers every question with an instance of its schema, or with a problem."""

    def ask(prompt: str, schema: Mapping[str, Any], **rest: Any) -> Answer:
        if seen is not None:
            seen.append(prompt)
        return Answer(None, problem) if problem else Answer(instance(schema, Random(1)))

    return lambda level, trial, purpose: ask


def trial(
    space: SearchSpace,
    number: int,
    changes: Mapping[str, Any],
    value: float | None,
    *,
    before: Config | None = None,
    parent: int | None = 0,
    kept: bool = False,
    failure: FailureKind = FailureKind.CRASH,
    origin: str = "",
) -> Trial:
    """A decided trial; without a value it failed."""
    base = space.baseline if before is None else before
    config = MappingProxyType({**base, **changes})
    lost = Outcome.failed(failure, "it crashed")
    decision = Decision.FAIL if value is None else Decision.KEEP if kept else Decision.DISCARD
    return Trial(
        number=number,
        parent=None if number == 0 else parent,
        proposal=Proposal(changes, origin=origin),
        config=config,
        seed=1,
        outcome=lost if value is None else Outcome(value),
        decision=decision,
        moves=space.moves(base, config),
    )


def view(
    trials: Sequence[Trial],
    *,
    space: SearchSpace = EVERY_KIND,
    seed: int = 1,
    direction: str = "minimize",
    left: int | None = 20,
    frozen: tuple[str, ...] = (),
    asker: Asker = nobody,
) -> View:
    """A loop that has these trials behind it and builds on the last one it kept."""
    kept = [t for t in trials if t.kept]
    return View(
        level=1,
        seed=seed,
        space=space,
        objective=Objective("val_bpb", direction),
        trace=Trace(trials),
        incumbent=kept[-1] if kept else None,
        trials_left=left,
        settings={"frozen": frozen},
        settings_space=NO_SETTINGS,
        render=str,
        asker=asker,
        parent=kept[-1] if kept else None,
    )


def walk(count: int, crash: Callable[[int], bool] = lambda number: False) -> list[Trial]:
    """A greedy search over every kind of parameter, with the trials that `crash` names failed."""
    rng = Random(count)
    made = [trial(EVERY_KIND, 0, {}, 1.0, kept=True)]
    while len(made) < count:
        at = [t for t in made if t.kept][-1]
        drawn = rng.sample(EVERY_KIND.active, 2)
        changes = {p.name: p.sample(rng) for p in drawn}
        value = None if crash(len(made)) else rng.gauss(1.0, 0.1)
        kept = value is not None and at.value is not None and value < at.value
        at_number = at.number
        made.append(
            trial(
                EVERY_KIND,
                len(made),
                changes,
                value,
                before=at.config,
                parent=at_number,
                kept=kept,
            )
        )
    return made[:count]
