"""How a search is shown: whose a trial was, what mechanisms did, which numbers vary."""

from dataclasses import replace
from typing import Any

import pytest

from bilevel.credit import Credit
from bilevel.llm.tables import acting, parameter_list, trial_table
from bilevel.loop.pipeline import Pipeline
from bilevel.loop.rules import ALTERNATE, Rules
from bilevel.mechanism import Mechanism
from bilevel.parameters import Tuple
from bilevel.space import SearchSpace
from bilevel.trace import Outcome, Proposal, Trace
from bilevel.view import Standing
from tests.helpers import SPACE, loop


class First(Mechanism):
    """Puts its own candidate before the proposer's."""

    name = "first"

    def propose(self, view: Any) -> Any:
        return [Proposal({"X": 3.0})]

    def review(self, view: Any, candidates: Any) -> Any:
        return sorted(candidates, key=lambda one: one.origin != self.name)


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[c.strip() for c in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def test_a_mechanism_s_trial_says_whose_it_was_and_what_it_displaced() -> None:
    for rules, note in ((Rules(turn=ALTERNATE), "in place of X 5.0 -> 4.0"), (Rules(), None)):
        made = loop({"X": 4.0}, pipeline=Pipeline([First()], rules=rules))
        made.run()
        header, _, trial = rows(trial_table(made.trace[:], made.view()))
        told = dict(zip(header, trial, strict=True))
        assert told["built on"] == "0"
        assert told["proposed by"] == "first"
        assert told.get("note") == note


def test_a_trial_that_another_mechanism_brought_about_names_it() -> None:
    made = loop({"X": 4.0})
    made.run()
    trial = replace(made.trace[1], caused_by=("elites",))
    assert rows(trial_table([trial], made.view()))[1][-1] == "because of elites"


def test_numbers_that_vary_have_columns_and_the_others_are_told_once() -> None:
    made = loop({"X": 4.0}, {"X": 3.0})
    made.run()
    shown = [
        replace(t, outcome=Outcome(1.0, metrics={"val_bpb": 1.0, "steps": n, "depth": 2}))
        for n, t in enumerate(made.trace)
    ]
    text = trial_table(shown, made.view())
    assert [row[-1] for row in rows(text)] == ["steps", "0", "1", "2"]
    assert text.endswith("\n\nThe same in all of them: depth 2.")
    assert "steps" not in trial_table(made.trace[:], made.view())


def test_what_was_tried_is_counted_by_direction_and_place() -> None:
    space = SearchSpace((*SPACE.parameters, Tuple("PAIR", (0, 0), (1, 1), (0.5, 0.5))))
    made = loop({"X": 4.0}, {"X": 9.0, "BATCH": 32})
    made.run()
    config = {**made.trace[2].config, "PAIR": (0.6, 0.4)}
    paired = [replace(t, config={**t.config, "PAIR": (0.5, 0.5)}) for t in made.trace]
    paired[2] = replace(paired[2], config=config)
    text = parameter_list(space.parameters, space.baseline, trials=Trace(paired)[:])
    tried = {row[0]: row[3] for row in rows(text)}
    assert tried == {
        "parameter": "tried",
        "X": "down 1, up 1",
        "BATCH": "down 1",
        "MODE": "never",
        "PAIR": "0 up 1, 1 down 1",
    }
    assert "tried" not in parameter_list(space.parameters, space.baseline)


@pytest.mark.parametrize("counts", [{}, {"review.none": 4, "propose.error": 1}])
def test_a_mechanism_that_changed_nothing_is_not_mentioned(counts: dict[str, int]) -> None:
    idle = Standing("idle", "code", "dead", 0, True, counts)
    assert acting([idle]) == acting([]) == "none that has changed anything"


def test_a_mechanism_that_did_something_is_told_with_its_trials_and_the_proposers() -> None:
    counts = {"review.decision": 2, "review.none": 9, "brief.prompt": 3}
    own, others = Credit(2, 1, 0, -0.25), Credit(8, 0, 1, 0.5)
    one = Standing("busy", "code", "live", 4, False, counts, "", own, others)
    assert acting([one]) == (
        "- busy (since trial 4, detached again): changed something at review 2, brief 3 times; it "
        f"caused {own}; the proposer meanwhile: {others}"
    )
