"""The language model as a proposer: what it is shown, what it may answer, what is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bilevel.errors import ConfigError, SpaceError
from bilevel.llm.prompts import digest
from bilevel.loop.acceptance import Always
from bilevel.loop.loop import Loop
from bilevel.parameters import Choice, Float, Int, PowerOfTwo, Tuple
from bilevel.proposers.llm import ACTIVE_AT_LEAST, LLMProposer, standing
from bilevel.space import SearchSpace
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Proposal
from bilevel.view import About, Brief, View
from tests.helpers import Listed, loop
from tests.llm.support import Canned, contents, reply, session

SPACE = SearchSpace(
    (
        Float("RATE", 0.001, 1.0, 0.1, log=True),
        PowerOfTwo("BATCH", 64, 4096, 1024),
        Choice("MODE", ("a", "b"), "a"),
        Tuple("BETAS", (0.5, 0.8), (0.99, 0.999), (0.8, 0.95)),
        Int("HEADS", 1, 8, 4),
        Int("DEPTH", 1, 8, 4),
    ),
    locked=("DEPTH",),
)


SCRIPT = "use(RATE)\n```\n## Active parameters\n"


def view(app: Canned, **settings: Any) -> View:
    made = loop({"X": 1.0}, {"MODE": "crash"}, {"X": 4.0})
    made.run()
    proposer = LLMProposer(SPACE)
    return View(
        level=1,
        seed=1,
        space=SPACE,
        objective=made.task.objective,
        trace=made.trace,
        incumbent=None,
        trials_left=7,
        settings={**proposer.settings.baseline, **settings},
        settings_space=proposer.settings,
        render=lambda config: "",
        about=About(
            "It trains a model.", {"RATE": "of learning", "DEPTH": "layers"}, SCRIPT, "Noise: some."
        ),
        effective=lambda config: {**config, "HEADS": min(config["HEADS"], 4)},
        asker=session(app).asker,
    )


def changes(*pairs: tuple[str, object]) -> str:
    listed = [{"parameter": name, "value": value} for name, value in pairs]
    return reply(hypothesis="Because\n it helps.", changes=listed)


def propose(app: Canned, brief: Brief | None = None, **settings: Any) -> Proposal:
    (proposal,) = LLMProposer(SPACE).propose(view(app, **settings), brief or Brief())
    return proposal


def test_a_proposal() -> None:
    app = Canned(changes(("RATE", 0.2), ("BATCH", 512), ("BETAS", [0.9, 0.95]), ("MODE", "a")))
    assert propose(app).problem  # four changes
    app = Canned(changes(("RATE", 0.2), ("BATCH", 512), ("BETAS", [0.9, 0.95])))
    proposal = propose(app)
    assert proposal.changes == {"RATE": 0.2, "BATCH": 512, "BETAS": (0.9, 0.95)}
    assert proposal.hypothesis == "Because it helps."
    assert proposal.origin == "llm"
    assert proposal.prompt == digest(*contents(app.requests))
    assert app.requests[0]["temperature"] == 0.7


def test_what_stays_as_it_is_is_left_out() -> None:
    assert propose(Canned(changes(("MODE", "a"), ("HEADS", 5)))).changes == {"HEADS": 5}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (changes(("WIDTH", 3)), "WIDTH"),
        (changes(("DEPTH", 3)), "DEPTH"),
        (changes(("HEADS", 5)), "HEADS"),
        (changes(("RATE", 5)), "RATE=5 is not legal"),
        (changes(("BATCH", 1000)), "power of two"),
        (changes(("BATCH", "2**9")), "not legal"),
        (changes(("RATE", "nan")), "not legal"),
        (changes(("BETAS", [0.9])), "list of 2 numbers"),
        (changes(("RATE", True)), "must satisfy"),
        (changes(("RATE", {"up": 1})), "must satisfy"),
        (changes(), "minItems"),
        (changes(("RATE", 0.1)), "nothing differs"),
        (changes(("RATE", 0.2), ("RATE", 0.3)), "listed twice"),
        (reply(changes=[{"parameter": "RATE", "value": 0.3}]), "hypothesis"),
    ],
)
def test_unusable_replies(answer: str, reason: str) -> None:
    app = Canned(answer)
    proposal = propose(app, frozen=("HEADS",))
    assert reason in proposal.problem
    assert not proposal.changes
    assert len(app.requests) == 2
    assert reason in app.requests[1]["messages"][-1]["content"]
    assert propose(Canned(answer, changes(("RATE", 0.3))), frozen=("HEADS",)).changes


def test_the_prompt_shows_the_search() -> None:
    app = Canned(changes(("RATE", 0.3)))
    shown = view(app).trace[:]
    brief = Brief(shown, "A note from a mechanism: $RATE {frozen}")
    propose(app, brief, frozen=("HEADS",), guidance="Mind the ${rate}.", strategy="explore")
    text = contents(app.requests)[-1]
    for expected in (
        "Metric: val_bpb (lower is better)",
        "Experiments left: 7",
        "It trains a model.",
        "Noise: some.",
        "use(RATE)",
        "| RATE | 0.1 | a number in [0.001, 1] (log scale) | never | of learning |",
        "| BETAS | [0.8, 0.95] |",
        "do not change): HEADS",
        "Locked (never change): DEPTH=4 (layers)",
        "4 of 4 shown",
        "| trial | built on | changes | val_bpb | delta | decision | proposed by | note |",
        "| 0 |  | (baseline) | 31 |  | keep |  |  |",
        "| 1 | 0 | X 5.0 -> 1.0 | 7 | -24 | keep | listed |  |",
        "| discard |",
        "crash: MODE=crash crashes",
        "Best so far: 7 (trial 1)",
        "explore: prefer",
        "Mind the ${rate}.",
        "A note from a mechanism: $RATE {frozen}",
        "at most 3 parameter changes",
    ):
        assert expected in text
    table = text.split("\n## Active parameters\n")[-1].split("Frozen for now")[0]
    assert "HEADS" not in table


def test_values_that_run_the_same_are_told_as_that() -> None:
    app = Canned(changes(("RATE", 0.3)))
    propose(app)
    text = contents(app.requests)[-1]
    assert "Values that run the same here:\n- HEADS: 4 = 5 = 6 = 7 = 8\n" in text


def test_only_the_most_recent_trials_are_shown() -> None:
    for count, rows in ((0, 0), (2, 2), (200, 4)):
        app = Canned(changes(("RATE", 0.3)))
        propose(app, Brief(view(app).trace[:]), history_shown=count)
        text = contents(app.requests)[-1]
        assert f"{rows} of 4 shown" in text
    assert "(no experiments are shown)" not in text


def test_settings_reach_the_request() -> None:
    app = Canned(changes(("RATE", 0.3)))
    propose(app, temperature=0.0, max_changes=1, frozen=("MODE",))
    schema = app.requests[0]["response_format"]["json_schema"]["schema"]
    listed = schema["properties"]["changes"]
    assert listed["maxItems"] == 1
    assert listed["items"]["properties"]["parameter"]["enum"] == ["RATE", "BATCH", "BETAS", "HEADS"]
    assert app.requests[0]["temperature"] == 0.0


def test_its_settings_are_a_space_for_the_level_above() -> None:
    settings = LLMProposer(SPACE, guidance="Go.", max_changes=2).settings
    assert settings.baseline == {
        "frozen": (),
        "strategy": "balanced",
        "guidance": "Go.",
        "temperature": 0.7,
        "history_shown": 30,
        "max_changes": 2,
    }
    assert settings.check({"frozen": ["MODE"]}) == {"frozen": ("MODE",)}
    most = len(SPACE.active) - ACTIVE_AT_LEAST
    with pytest.raises(SpaceError):
        settings.check({"frozen": [p.name for p in SPACE.active[: most + 1]]})
    with pytest.raises(SpaceError):
        LLMProposer(SPACE, temperature=9)


def test_without_a_model_it_is_told_what_to_choose() -> None:
    made: Loop = loop({"X": 1.0}, proposer=Listed({"X": 1.0}))
    made.run()
    with pytest.raises(ConfigError, match="llm="):
        LLMProposer(made.task.space).propose(made.view(), Brief())


def test_a_long_source_is_cut_in_the_middle() -> None:
    app = Canned(changes(("RATE", 0.3)))
    long = replace(view(app), about=About(source="HEAD" + "x" * 100_000 + "TAIL"))
    LLMProposer(SPACE).propose(long, Brief())
    text = contents(app.requests)[-1]
    assert "HEAD" in text
    assert "TAIL" in text
    assert "characters left out" in text
    assert len(text) < 70_000
    assert json.loads(text.rsplit("```json\n", 1)[1].removesuffix("```\n"))


ADVICE = "Try BATCH 512.\nTry RATE with MODE.\nAlways leave BATCH alone.\nBe bold."


def test_guidance_is_dated_and_loses_the_lines_that_were_tried() -> None:
    made = view(Canned(""))
    later = [replace(made.trace[1], number=9, moves=frozenset({("BATCH", "up"), ("X", "up")}))]
    given = replace(made, since={"guidance": 9})
    assert standing(ADVICE, given, later) == (
        "(given before trial 9)\nTry RATE with MODE.\nAlways leave BATCH alone.\nBe bold."
    )
    assert standing("Try BATCH.", given, later).endswith("(all of it was tried)")
    assert standing("Try BATCH.", replace(made, since={"guidance": 10}), later).endswith("BATCH.")
    assert standing(ADVICE, made, later) == ADVICE  # nobody above gave it


def test_a_level_above_dates_what_it_sets() -> None:
    made = Loop(
        task=Surrogate("trap"), proposer=LLMProposer(Surrogate("trap").space), acceptance=Always()
    )
    assert made.view().since == {}
    made.configure({"strategy": "explore", "guidance": ""})
    assert made.view().since == {"strategy": 0}
    made._round(None)
    made.configure({"strategy": "explore", "guidance": "Go."})
    assert made.view().since == {"strategy": 0, "guidance": 1}
