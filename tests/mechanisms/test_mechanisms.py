"""Every curated mechanism: the contract they all keep, and what each one is for."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import mechanisms
from baselines.random_search import RandomSearch
from bilevel.acceptance import Greedy
from bilevel.errors import ConfigError
from bilevel.ledger import Effect, Liveness
from bilevel.loop import Loop
from bilevel.mechanism import Mechanism
from bilevel.pipeline import Pipeline
from bilevel.tasks.surrogate import LANDSCAPES, Surrogate
from mechanisms.placebo import Placebo
from mechanisms.restart import Restart
from mechanisms.tabu import Tabu
from tests.helpers import Listed, loop

CONF = Path(__file__).parents[2] / "conf" / "mechanisms"


def classes() -> list[type[Mechanism]]:
    found = []
    for module in pkgutil.iter_modules(mechanisms.__path__):
        loaded = importlib.import_module(f"mechanisms.{module.name}")
        own = [
            member
            for _, member in inspect.getmembers(loaded, inspect.isclass)
            if issubclass(member, Mechanism) and member.__module__ == loaded.__name__
        ]
        assert len(own) == 1, f"mechanisms/{module.name}.py: one class a file"
        found += own
    return found


def search(mechanism: Mechanism, landscape: str = "trap", seed: int = 1, trials: int = 25) -> Loop:
    task = Surrogate(landscape)
    made = Loop(
        task=task,
        proposer=RandomSearch(task.space, changes=1),
        acceptance=Greedy(),
        trials=trials,
        seed=seed,
        pipeline=Pipeline([mechanism]),
    )
    made.run()
    return made


@pytest.mark.parametrize("made", classes(), ids=lambda c: c.name)
class TestContract:
    def test_it_has_a_config_of_its_name(self, made: type[Mechanism]) -> None:
        assert (
            f"_target_: {made.__module__}.{made.__name__}"
            in (CONF / f"{made.name}.yaml").read_text()
        )

    @pytest.mark.parametrize("landscape", LANDSCAPES)
    def test_no_hook_fails_on_any_landscape(self, made: type[Mechanism], landscape: str) -> None:
        ran = search(made(), landscape)
        assert len(ran.trace) == 26
        assert [r for r in ran.pipeline.ledger.rows() if r.effect is Effect.ERROR] == []

    def test_the_same_seed_gives_the_same_search(self, made: type[Mechanism]) -> None:
        one, other = search(made()), search(made())
        assert [t.config for t in one.trace] == [t.config for t in other.trace]

    def test_a_search_that_only_crashes_is_survived(self, made: type[Mechanism]) -> None:
        crashes: list[dict[str, object]] = [{"MODE": "crash"}, {"Y": 1}, {}] * 5
        ran = loop(*crashes, mechanisms=[made()])
        ran.run()
        assert [r for r in ran.pipeline.ledger.rows() if r.effect is Effect.ERROR] == []


@pytest.mark.parametrize("wrong", [-1, 0.5, "abc", True])
@pytest.mark.parametrize("made", [Tabu, Restart])
def test_a_wrong_argument_is_refused(made: type[Tabu] | type[Restart], wrong: Any) -> None:
    with pytest.raises(ConfigError, match="expected a whole number"):
        made(wrong)


def test_tabu_drops_a_move_that_was_discarded_lately_and_only_that_long() -> None:
    again: list[dict[str, object]] = [{"X": 6.0}, {"X": 7.0}, {"BATCH": 32}]
    ran = loop(*again, trials=3, mechanisms=[Tabu(tenure=2)])
    ran.run()
    assert [dict(t.proposal.changes) for t in ran.trace[1:3]] == [{"X": 6.0}, {"BATCH": 32}]
    assert ran.pipeline.liveness("tabu", trial=4) is Liveness.LIVE
    patient = loop({"X": 6.0}, {"BATCH": 32}, {"BATCH": 16}, {"X": 7.0}, mechanisms=[Tabu(2)])
    patient.run()
    assert dict(patient.trace[4].proposal.changes) == {"X": 7.0}


def test_restart_hides_what_came_before_and_keeps_the_incumbent() -> None:
    changes: list[dict[str, object]] = [{"X": 5.0 - n / 10} for n in range(1, 8)]
    proposer = Listed(*changes)
    ran = loop(proposer=proposer, trials=7, mechanisms=[Restart(period=3)])
    ran.run()
    shown = [[t.number for t in brief.trials] for brief in proposer.briefs]
    assert shown == [[0], [0, 1], [0, 1, 2], [], [4], [4, 5], []]
    assert [t.parent for t in ran.trace[1:]] == [0, 1, 2, 3, 4, 5, 6]
    assert ran.pipeline.liveness("restart", trial=8) is Liveness.PROMPTED


def test_placebo_is_called_and_found_dead() -> None:
    placebo = Placebo()
    with_it = search(placebo)
    without = search(Tabu(tenure=0))
    assert placebo.seen == 26
    assert with_it.pipeline.liveness("placebo", trial=26) is Liveness.DEAD
    assert [t.config for t in with_it.trace] == [t.config for t in without.trace]
