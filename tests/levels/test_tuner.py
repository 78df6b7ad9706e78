"""Level 1.5: what the tuner is shown, its limits, and that an unusable reply costs nothing."""

from dataclasses import replace
from typing import Any

import pytest

from bilevel.errors import ConfigError
from bilevel.levels.segment import Segment
from bilevel.levels.tuner import LLMTuner, Record, TunerLimits, records
from bilevel.llm.scripted import respond
from bilevel.loop.acceptance import Always, Greedy
from bilevel.loop.behaviour import since_gain
from bilevel.loop.loop import Loop
from bilevel.parameters import Float, Text
from bilevel.proposers.llm import LLMProposer
from bilevel.space import SearchSpace
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Proposal
from bilevel.view import Brief, View
from tests.helpers import loop
from tests.llm.support import Canned, contents, reply, session
from tests.test_conf import composed

KNOWN = {f"P{i}": Record(tries=3) for i in range(10)} | {
    "NEW": Record(tries=1),
    "GOOD": Record(tries=5, gains=1),
}


def wants(**fields: Any) -> dict[str, Any]:
    return {
        "analysis": "It repeats itself.",
        "freeze": [],
        "unfreeze": [],
        "strategy": "explore",
        "guidance": "Look elsewhere.",
        **fields,
    }


@pytest.mark.parametrize(
    ("freeze", "unfreeze", "before", "after", "cut"),
    [
        (["P0", "P1", "P0"], [], (), ["P0", "P1"], []),
        (["NEW"], [], (), [], ["freeze NEW: tried 1 of 3 times"]),
        (["GOOD"], [], (), [], ["freeze GOOD: gained 1 times"]),
        (["ODD"], [], (), [], ["freeze ODD: not an active parameter"]),
        ([f"P{i}" for i in range(6)], [], (), [f"P{i}" for i in range(5)],
         ["freeze P5: more than 5 freezes"]),
        (["P8"], [], tuple(f"P{i}" for i in range(8)), [f"P{i}" for i in range(8)],
         ["freeze P8: fewer than 4 parameters would stay active"]),
        ([], ["P0", "P1"], ("P0",), [], ["unfreeze P1: not frozen"]),
        (["P0"], ["P0"], ("P0",), [], ["freeze P0: also in unfreeze"]),
        (["P0"], [], ("P0",), ["P0"], []),
    ],
)  # fmt: skip
def test_limits(
    freeze: list[str],
    unfreeze: list[str],
    before: tuple[str, ...],
    after: list[str],
    cut: list[str],
) -> None:
    reply = wants(freeze=freeze, unfreeze=unfreeze)
    assert TunerLimits().apply(reply, before, KNOWN) == (after, cut)


def test_records_of_a_trace() -> None:
    made = loop({"X": 4.0}, {"X": 6.0}, {"MODE": "crash"}, {"X": 3.0, "BATCH": 32})
    made.run()
    found = records(made.view())
    assert found["X"] == Record(tries=3, gains=2, failures=0, best_delta=-9.0)
    assert found["BATCH"].tries == 1
    assert found["MODE"] == Record(tries=1, failures=1)


def test_a_gain_of_several_together_is_none_of_each() -> None:
    joint: dict[str, object] = {"X": 3.0, "BATCH": 32}
    made = loop(joint, {"X": 9.0}, {"X": 8.0}, {"X": 7.0}, {"MODE": "crash", "BATCH": 16})
    made.run()
    together = records(made.view())
    assert (together["X"].tries, together["X"].gains) == (4, 1)
    alone = records(made.view(), "single")
    assert (alone["X"].tries, alone["X"].gains) == (3, 0)
    assert (alone["X"].joint, alone["X"].joint_gains) == (1, 1)
    assert (alone["BATCH"].tries, alone["BATCH"].joint, alone["BATCH"].failures) == (0, 2, 1)
    freeze = TunerLimits(min_active=1)
    assert freeze.apply(wants(freeze=["X"]), (), together)[0] == []
    assert freeze.apply(wants(freeze=["X", "BATCH"]), (), alone)[0] == ["X"]


def test_the_rule_is_chosen_in_the_configuration_and_absent_it_is_the_old_one() -> None:
    settings = composed("arm=level1_5")["outer"]["levels"]["tuner"]["proposer"]
    assert settings["gains"] == "single"
    assert LLMTuner()._gains == "joint"
    with pytest.raises(ConfigError, match="gains=both: expected one of single, joint"):
        LLMTuner(gains="both")


SPACE = Surrogate("trap").space


def below(trials: int = 9) -> Loop:
    """A level 1 that has run with the stand-in."""
    made = Loop(
        task=Surrogate("trap"),
        proposer=LLMProposer(SPACE),
        acceptance=Greedy(),
        seed=3,
        trials=40,
        asker=session(respond, seed=3, api_key_env=None).asker,
    )
    made.run(trials)
    return made


@pytest.fixture(scope="module")
def ran() -> Loop:
    return below()


def above(ran: Loop, app: Canned) -> View:
    outer = Loop(
        task=Segment(ran, 5),
        proposer=LLMTuner(),
        acceptance=Always(),
        level=2,
        asker=session(app).asker,
    )
    return replace(outer.view(), below=ran.view())


def tune(ran: Loop, app: Canned, brief: Brief | None = None, **limits: Any) -> Proposal:
    (proposal,) = LLMTuner(**limits).propose(above(ran, app), brief or Brief())
    return proposal


def test_a_proposal_changes_only_what_differs(ran: Loop) -> None:
    proposal = tune(ran, Canned(reply(**wants(strategy="balanced"))))
    assert proposal.changes == {"guidance": "Look elsewhere."}
    assert proposal.hypothesis == "It repeats itself."
    assert proposal.origin == "tuner"
    assert proposal.prompt
    assert not tune(ran, Canned(reply(**wants(strategy="balanced", guidance="")))).changes


def test_freezing_within_the_limits_and_telling_what_was_cut(ran: Loop) -> None:
    known = records(ran.view())
    spent = [name for name, r in known.items() if r.tries >= 1 and not r.gains]
    asked = reply(**wants(freeze=[*spent, "DEPTH"]))
    proposal = tune(ran, Canned(asked), min_tries=1)
    assert proposal.changes["frozen"] == tuple(spent)
    assert "[cut: freeze DEPTH: not an active parameter]" in proposal.hypothesis
    proposal = tune(ran, Canned(asked), min_tries=30)
    assert "frozen" not in proposal.changes
    assert "of 30 times" in proposal.hypothesis


def test_long_guidance_is_cut(ran: Loop) -> None:
    proposal = tune(ran, Canned(reply(**wants(guidance="x" * 5000))))
    assert proposal.changes["guidance"] == "x" * 1000
    assert "guidance: 5000 characters, 1000 allowed" in proposal.hypothesis


@pytest.mark.parametrize("answer", ["no", reply(analysis="?"), reply(**wants(strategy="pray"))])
def test_an_unusable_reply_leaves_the_settings_as_they_are(ran: Loop, answer: str) -> None:
    proposal = tune(ran, Canned(answer))
    assert not proposal.changes
    assert not proposal.problem
    assert proposal.hypothesis.startswith("not tuned, the reply could not be used: ")


def test_the_prompt_shows_the_state_of_the_search(ran: Loop) -> None:
    app = Canned(reply(**wants()))
    tune(ran, app, Brief(text="A note."), max_freezes=2)
    text = contents(app.requests)[-1]
    record = records(ran.view())["WEIGHT_DECAY"]
    streak = since_gain(ran.trace)
    for expected in (
        "val_bpb (lower is better)",
        "Experiments run: 9, left: 31",
        f"Since the last gain: {f'{streak} experiments' if streak else 'no experiment'}",
        "| WEIGHT_DECAY |",
        "| a number in [0, 0.5] |",
        f"| {record.tries} | {record.gains} |",
        "| status |",
        "(baseline)",
        '- strategy: "balanced"',
        "- frozen: []",
        "at least 3 tries",
        "at most 2 at once",
        "balanced, explore, exploit, combine",
        "at most 1000 characters",
        "A note.",
    ):
        assert expected in text


def test_it_needs_a_loop_below_that_can_be_tuned(ran: Loop) -> None:
    with pytest.raises(ConfigError, match="no loop below"):
        LLMTuner().propose(ran.view(), Brief())
    other = replace(above(ran, Canned("x")), space=SearchSpace((Text("guidance", 9),)))
    (proposal,) = LLMTuner().propose(other, Brief())
    assert not proposal.changes
    assert "no frozen, strategy" in proposal.hypothesis


def test_a_search_on_two_levels_with_the_stand_in() -> None:
    """Three segments: settings change, and frozen parameters are not proposed."""
    inner = below(0)
    outer = Loop(
        task=Segment(inner, 5),
        proposer=LLMTuner(),
        acceptance=Always(),
        level=2,
        seed=3,
        asker=session(respond, seed=3, api_key_env=None).asker,
    )
    outer.run(3)
    assert any(trial.proposal.changes for trial in outer.trace[1:])
    for trial in outer.trace[1:]:
        frozen: Any = trial.config["frozen"]
        first = int(trial.outcome.metrics["first_trial"])
        for tried in inner.trace[first : first + 5]:
            assert not set(frozen) & {name for name, _ in tried.moves}


def test_a_space_too_small_to_freeze_anything() -> None:
    space = SearchSpace(tuple(Float(f"P{i}", 0, 1, 0.5) for i in range(3)))
    known = {p.name: Record(tries=9) for p in space.active}
    after, cut = TunerLimits().apply(wants(freeze=["P0"]), (), known)
    assert not after
    assert "fewer than 4" in cut[0]
