"""The contracts that every task and every proposer keeps, whoever wrote it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.random_search import RandomSearch
from bilevel.errors import SpaceError
from bilevel.journal import Journal
from bilevel.levels.segment import Segment
from bilevel.levels.tuner import LLMTuner
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Always, Greedy
from bilevel.loop.loop import Loop
from bilevel.proposers.llm import LLMProposer
from bilevel.tasks.base import Task
from bilevel.tasks.bbob import Bbob
from bilevel.tasks.landscapes.task import Landscape
from bilevel.tasks.surrogate import LANDSCAPES, Surrogate
from bilevel.trace import Outcome, Proposal
from bilevel.view import About, Asker, Proposer
from tests.helpers import GUIDED, Listed, Parabola, loop
from tests.tasks.test_autoresearch import task as autoresearch_task
from tests.tasks.test_command import task as command_task
from tests.tasks.test_script import task as script_task

TASKS: dict[str, Callable[[Path], Task]] = {
    **{name: lambda _, name=name: Surrogate(name) for name in LANDSCAPES},  # type: ignore[misc]
    **{
        f"landscape-{number}-{half}": lambda _, number=number, half=half: Landscape(number, half)  # type: ignore[misc]
        for number, half in ((0, "training"), (1, "training"), (2, "held_out"))
    },
    "bbob": lambda _: bbob(),
    "parabola": lambda _: Parabola(),
    "script": script_task,
    "command": command_task,
    "autoresearch": autoresearch_task,
    "segment": lambda _: Segment(loop({"X": 1.0}, proposer=Listed({}, settings=GUIDED)), 1),
}


def bbob() -> Task:
    pytest.importorskip("ioh")
    return Bbob(1, 1, 5)


@pytest.fixture(params=TASKS, ids=str)
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Task]:
    made = TASKS[request.param](tmp_path)
    yield made
    made.close()


class TestEveryTask:
    def test_its_baseline_is_legal_and_has_a_value(self, task: Task) -> None:
        task.space.check({p.name: p.baseline for p in task.space.active})
        assert task.evaluate(None, Proposal({}), seed=1).value is not None

    def test_equal_configurations_have_equal_outcomes(self, task: Task) -> None:
        if not task.repeatable:
            pytest.skip("a segment is run once")
        one, other = (task.evaluate(None, Proposal({}), seed=1) for _ in range(2))
        assert one.value == other.value

    def test_an_outcome_survives_the_journal(self, task: Task) -> None:
        outcome = task.evaluate(None, Proposal({}), seed=1)
        with_json = Journal(None).once("outcome", "1", outcome.to_json)
        assert Outcome.from_json(with_json) == outcome

    def test_what_is_outside_the_space_is_refused(self, task: Task) -> None:
        with pytest.raises(SpaceError, match="NOPE is not a parameter"):
            task.configured(None, Proposal({"NOPE": 1}))

    def test_it_has_a_name_and_can_be_shown(self, task: Task) -> None:
        assert task.name
        assert task.objective.direction in {"minimize", "maximize"}
        for parameter in task.space.parameters:
            assert parameter.name in task.render(task.space.baseline)

    def test_what_it_tells_of_itself_is_the_same_every_time_and_not_of_this_machine(
        self, task: Task, tmp_path: Path
    ) -> None:
        about = task.describe()
        assert about == task.describe()
        assert About(**about.to_json()) == about
        told = f"{about.facts}{about.source}{dict(about.meanings)}"
        assert str(tmp_path) not in told
        assert str(Path.home()) not in told
        assert set(about.meanings) <= {p.name for p in task.space.parameters}

    def test_the_effective_configuration_is_stable(self, task: Task) -> None:
        effective = task.effective(task.space.baseline)
        assert task.effective(effective) == effective


def asker(seed: int) -> tuple[Asker, Session]:
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    session = Session(client, Journal(None), CallLedger(), seed)
    return session.asker, session


def inner(proposer: Proposer, seed: int) -> Loop:
    ask, _ = asker(seed)
    return Loop(
        task=Surrogate("trap"),
        proposer=proposer,
        acceptance=Greedy(),
        trials=12,
        seed=seed,
        asker=ask,
    )


def outer(seed: int) -> Loop:
    ask, _ = asker(seed)
    below = inner(LLMProposer(Surrogate("trap").space), seed)
    return Loop(
        task=Segment(below, 3),
        proposer=LLMTuner(),
        acceptance=Always(),
        level=1.5,
        seed=seed,
        asker=ask,
    )


SEARCHES: dict[str, Callable[[int], Loop]] = {
    "random": lambda seed: inner(RandomSearch(Surrogate("trap").space), seed),
    "random, two changes": lambda seed: inner(RandomSearch(Surrogate("trap").space, 2), seed),
    "language model": lambda seed: inner(LLMProposer(Surrogate("trap").space), seed),
    "tuner": outer,
}


@pytest.mark.parametrize("build", SEARCHES.values(), ids=SEARCHES)
class TestEveryProposer:
    def test_it_searches_to_the_end(self, build: Callable[[int], Loop]) -> None:
        search = build(1)
        search.run()
        assert search.done
        assert [trial.number for trial in search.trace] == list(range(len(search.trace)))

    def test_the_same_seed_proposes_the_same(self, build: Callable[[int], Loop]) -> None:
        def proposed(seed: int) -> list[Any]:
            search = build(seed)
            search.run()
            return [dict(trial.proposal.changes) for trial in search.trace]

        assert proposed(3) == proposed(3)
        assert proposed(3) != proposed(4)

    def test_its_settings_have_a_legal_baseline(self, build: Callable[[int], Loop]) -> None:
        search = build(1)
        settings = search.settings_space
        assert settings.check(settings.baseline) == settings.baseline
        search.configure(settings.baseline)

    def test_every_proposal_says_where_it_is_from(self, build: Callable[[int], Loop]) -> None:
        search = build(1)
        search.run()
        assert all(trial.proposal.origin for trial in search.trace)
