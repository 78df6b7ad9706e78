"""The contract that every curated mechanism keeps, on every landscape and on awkward traces."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import instantiate

from bilevel.baselines.random_search import RandomSearch
from bilevel.errors import ConfigError
from bilevel.journal import Journal, projection, read
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import Mechanism
from bilevel.space import SearchSpace, canonical
from bilevel.tasks.surrogate import LANDSCAPES, Surrogate
from bilevel.trace import FailureKind, Proposal, Trial
from bilevel.view import Brief, View
from tests.helpers import loop
from tests.mechanisms.support import (
    EVERY_KIND,
    FREELY_WRITTEN,
    answering,
    classes,
    errors,
    kinds,
    own,
    search,
    trial,
    view,
    walk,
)

CONF = Path(__file__).parents[2] / "conf" / "mechanisms"
INVALID = [
    trial(EVERY_KIND, n, {}, None if n else 1.0, kept=not n, failure=FailureKind.INVALID_PROPOSAL)
    for n in range(12)
]
TRACES: dict[str, list[Trial]] = {
    "empty": [],
    "a failed baseline": [trial(EVERY_KIND, 0, {}, None)],
    "the baseline": walk(1),
    "short": walk(3),
    "short of a turn": walk(13),
    "long": walk(300),
    "crashes": walk(61, lambda number: True),
    "many crashes": walk(121, lambda number: number % 3 != 0),
    "invalid proposals": INVALID,
    "all equal": [trial(EVERY_KIND, n, {}, 1.0, kept=n == 0) for n in range(13)],
}
AWKWARD = (
    Proposal({"RATE": 0.5}),
    Proposal({"RATE": 50.0}),
    Proposal({"HELD": 1}),
    Proposal({"NOPE": 1}),
    Proposal({}),
    Proposal({}, problem="no JSON"),
    Proposal({"BETAS": [0.6, 0.95], "PATTERN": "L"}),
)


def hooks(mechanism: Mechanism, at: View) -> tuple[Sequence[Proposal], Sequence[Proposal]]:
    """Calls the hooks of one trial as the pipeline does; what was proposed and what reviewed."""

    def called(hook: str) -> View:
        return at.for_(f"{mechanism.name}/{hook}")

    number = mechanism.parent(called("parent"))
    assert number is None or 0 <= number < len(at.trace)
    assert isinstance(mechanism.brief(called("brief"), Brief(at.trace)), Brief)
    proposed = tuple(mechanism.propose(called("propose")))
    given = (*AWKWARD, *proposed)
    reviewed = tuple(mechanism.review(called("review"), given))
    for candidate in reviewed:
        assert candidate.changes in [c.changes for c in given]
        canonical(candidate.changes)
    if at.trace:
        assert mechanism.accept(called("accept"), at.trace[-1]) in (None, True, False)
        mechanism.observe(called("observe"), at.trace[-1])
    return proposed, reviewed


@pytest.mark.parametrize("made", kinds())
class TestEveryMechanism:
    def test_its_config_is_of_its_name_and_writes_its_defaults(self, made: type[Mechanism]) -> None:
        spec: dict[str, Any] = yaml.safe_load((CONF / f"{made.name}.yaml").read_text())
        settings = spec[made.name]
        assert isinstance(instantiate(settings), made)
        defaults = inspect.signature(made).parameters
        assert {k: v for k, v in settings.items() if k != "_target_"} == {
            name: parameter.default for name, parameter in defaults.items()
        }

    def test_it_says_where_it_is_from(self, made: type[Mechanism]) -> None:
        assert made.__doc__
        assert made.name in {"placebo", "restart"} or any(c.isdigit() for c in made.__doc__)
        longest = 250 if made.name in FREELY_WRITTEN else 120
        assert len(Path(inspect.getfile(made)).read_text().splitlines()) <= longest

    @pytest.mark.parametrize("landscape", LANDSCAPES)
    def test_a_search_has_no_error_and_only_legal_proposals(
        self, made: type[Mechanism], landscape: str
    ) -> None:
        ran = search(made(), task=landscape)
        assert len(ran.trace) == 26
        for mine in own(ran, made.name):
            assert mine.proposal.changes
            ran.task.space.check(mine.proposal.changes)
            assert mine.moves

    def test_a_search_without_a_model_has_no_error(self, made: type[Mechanism]) -> None:
        task = Surrogate("trap")
        ran = Loop(
            task=task,
            proposer=RandomSearch(task.space, changes=1),
            acceptance=Greedy(),
            trials=40,
            pipeline=Pipeline([made()]),
        )
        ran.run()
        assert errors(ran) == []

    def test_a_batch_has_no_error(self, made: type[Mechanism]) -> None:
        task = Surrogate("trap")
        ran = Loop(
            task=task,
            proposer=RandomSearch(task.space, changes=2),
            acceptance=Greedy(),
            trials=40,
            batch=4,
            pipeline=Pipeline([made()]),
        )
        ran.run()
        assert errors(ran) == []
        assert len(ran.trace) == 41

    def test_a_search_that_only_crashes_is_survived(self, made: type[Mechanism]) -> None:
        crashes: list[dict[str, object]] = [{"MODE": "crash"}, {"Y": 1}, {}] * 5
        ran = loop(*crashes, mechanisms=[made()])
        ran.run()
        assert errors(ran) == []

    def test_a_stopped_search_continues_to_the_same_journal(
        self, made: type[Mechanism], tmp_path: Path
    ) -> None:
        whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
        with Journal(whole) as journal:
            search(made(), trials=16, journal=journal)
        lines = whole.read_text().splitlines(keepends=True)
        cut.write_text("".join(lines[: len(lines) * 2 // 3]))
        with Journal(cut) as journal:
            search(made(), trials=16, journal=journal)
        assert projection(read(cut)) == projection(read(whole))

    @pytest.mark.parametrize("trace", TRACES, ids=str)
    @pytest.mark.parametrize("direction", ["minimize", "maximize"])
    def test_any_trace_is_survived_and_answered_the_same_again(
        self, made: type[Mechanism], trace: str, direction: str
    ) -> None:
        for left in (None, 0, 1, 40):
            at = view(TRACES[trace], direction=direction, left=left, asker=answering())
            one, other = hooks(made(), at), hooks(made(), at)
            assert one == other
            for proposal in one[0]:
                assert at.space.check(proposal.changes) == proposal.changes
                assert any(at.base[n] != v for n, v in proposal.changes.items())

    def test_what_is_frozen_or_locked_is_left_alone(self, made: type[Mechanism]) -> None:
        frozen = ("RATE", "PATTERN", "BATCH")
        mechanism, walked = made(), walk(41)
        for count in range(1, 41):
            at = view(walked[:count], frozen=frozen, asker=answering())
            for proposal in hooks(mechanism, at)[0]:
                assert not {*frozen, "HELD"} & set(proposal.changes)

    def test_a_space_without_a_step_is_survived(self, made: type[Mechanism]) -> None:
        stuck = SearchSpace(EVERY_KIND.parameters, locked=tuple(EVERY_KIND.baseline))
        mechanism = made()
        for count in range(1, 31):
            trials = [trial(stuck, n, {}, 1.0 + n, kept=n == 0) for n in range(count)]
            at = view(trials, space=stuck, asker=answering())
            assert not mechanism.propose(at)
            mechanism.review(at, AWKWARD)


SETTINGS = [
    (made, name, wrong)
    for made in classes()
    for name in inspect.signature(made).parameters
    for wrong in (-1, 1.5, "abc", True)
]


@pytest.mark.parametrize(("made", "name", "wrong"), SETTINGS)
def test_a_wrong_setting_is_refused(made: Any, name: str, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=f"{made.name}: {name}=.*: expected a"):
        made(**{name: wrong})
