"""The arm that edits code: patches, the history of diffs, one repair after a quick crash."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bilevel.baselines.karpathy import SCHEMA, Karpathy
from bilevel.errors import ConfigError
from bilevel.journal import Journal, projection, read
from bilevel.llm.ledger import CallLedger
from bilevel.llm.reply import checked
from bilevel.llm.scripted import scripted_client
from bilevel.llm.scripted.editing import CRASHES
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.parameters import Text
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.tasks.cpu_gpt.task import SCRIPT
from bilevel.trace import Decision, FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import Answer, Asker
from tests.helpers import SPACE

NAME = "train.py"
SMALL = "rate = 1\nsteps = 3\nprint(rate * steps)\n"
BROKEN = [broken for _, broken in CRASHES]


class Judged(Task):
    """A script that is not run: its value follows from its text; known mistakes crash it."""

    name = "judged"
    objective = Objective("val_bpb")

    def __init__(self, source: str | None = None, steps: float = 0.0) -> None:
        text = SCRIPT.read_text() if source is None else source
        self.space = SearchSpace((Text(NAME, 60_000, text),))
        self._steps = steps

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        text = self.render(self.configured(parent, proposal))
        if any(one in text for one in (*BROKEN, "boom")):
            return Outcome.failed(
                FailureKind.CRASH,
                "NameError: name 'boom' is not defined (train.py, line 3)",
                metrics={"steps": self._steps},
                notes={"output.txt": "Traceback: here\n"},
            )
        return Outcome(1 + int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) / 65536)

    def render(self, config: Any) -> str:
        return str(config[NAME])


def search(seed: int, trials: int, journal: Journal | None = None) -> Loop:
    """The arm with the stand-in model."""
    task, kept = Judged(), journal or Journal(None)
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    with Session(client, kept, CallLedger(), seed) as session:
        made = Loop(
            task=task,
            proposer=Karpathy(task.space),
            acceptance=Greedy(),
            trials=trials,
            seed=seed,
            journal=kept,
            asker=session.asker,
        )
        made.run()
    return made


def edits(*pairs: tuple[str, str], script: str = "", why: str = "it helps") -> dict[str, Any]:
    listed = [{"search": search, "replace": replace} for search, replace in pairs]
    return {"hypothesis": why, "edits": listed, "script": script}


def replying(replies: Sequence[Any], prompts: list[str]) -> Asker:
    """Gives replies in order; what does not pass the check is a problem."""
    given = iter(replies)

    def ask(prompt: str, schema: Any, *, check: Any = None, **rest: Any) -> Answer:
        prompts.append(prompt)
        value, problem = checked(json.dumps(next(given)), schema, check)
        return Answer(value, problem, prompt="d")

    return lambda level, trial, purpose: ask


def replied(*replies: Any, steps: float = 0.0, **arguments: Any) -> tuple[Loop, list[str]]:
    task, prompts = Judged(SMALL, steps), list[str]()
    made = Loop(
        task=task,
        proposer=Karpathy(task.space, **arguments),
        acceptance=Greedy(),
        trials=len(replies),
        asker=replying(replies, prompts),
    )
    made.run()
    return made, prompts


def test_a_patch_is_kept_or_reverted() -> None:
    """Every trial is built on the incumbent, whatever became of the one before."""
    ran = search(1, 12)
    assert len(ran.trace) == 13
    assert {trial.decision for trial in ran.trace} == set(Decision)
    incumbent = 0
    for trial in ran.trace[1:]:
        assert trial.parent == incumbent
        incumbent = trial.number if trial.kept else incumbent


def test_the_stand_in_edits_as_models_do() -> None:
    """Constants and code, sometimes what does not run; a second attempt at what did not match."""
    trials = [trial for seed in (1, 2) for trial in search(seed, 16).trace[1:]]
    kinds = {t.outcome.failure.kind for t in trials if t.outcome.failure is not None}
    assert FailureKind.CRASH in kinds
    assert {trial.proposal.origin for trial in trials} == {"patch", "repair"}
    texts = {str(trial.config[NAME]) for trial in trials}
    assert len(texts) > 20
    assert any("F.gelu" in text for text in texts)


def test_the_same_seed_searches_the_same_and_another_one_does_not() -> None:
    def proposed(seed: int) -> list[Any]:
        return [dict(trial.proposal.changes) for trial in search(seed, 8).trace]

    assert proposed(3) == proposed(3)
    assert proposed(3) != proposed(4)


def test_a_killed_search_continues_to_the_same_journal(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    with Journal(whole) as journal:
        search(1, 8, journal)
    written = whole.read_bytes()
    for share in (0.4, 0.97):
        cut.write_bytes(written[: int(len(written) * share)])
        with Journal(cut) as journal:
            search(1, 8, journal)
        assert projection(read(cut)) == projection(read(whole))


def test_the_history_is_a_history_of_diffs() -> None:
    _, prompts = replied(
        edits(("rate = 1", "rate = 7"), why="a higher rate"),
        edits(script=SMALL.replace("steps = 3", "steps = 9")),
        edits(("steps = 3", "steps = 4")),
    )
    assert "none yet" not in prompts[0]
    assert "Trial 0: keep" in prompts[0]
    assert "a higher rate" in prompts[1]
    assert "-rate = 1\n+rate = 7" in prompts[1]
    assert "+steps = 9" in prompts[2]
    assert f"```\n{SMALL.rstrip()}" in prompts[0]


def test_a_long_diff_is_cut_and_says_so() -> None:
    longer = SMALL + "".join(f"x{n} = {n}\n" for n in range(200))
    _, prompts = replied(edits(script=longer), edits(("rate = 1", "rate = 2")), diff_chars=300)
    assert "[... the rest is left out]" in prompts[1]


def test_a_quick_crash_is_mended_once() -> None:
    ran, prompts = replied(
        edits(("rate = 1", "rate = boom"), why="an idea"),
        edits(("rate = boom", "rate = booom")),
        edits(("rate = 1", "rate = 2")),
    )
    assert [t.proposal.origin for t in ran.trace[1:]] == ["patch", "repair", "patch"]
    assert "NameError: name 'boom' is not defined (train.py, line 3)" in prompts[1]
    assert "Traceback: here" in prompts[1]
    assert "rate = boom" in prompts[1]
    assert "an idea" in prompts[1]
    assert "rate = boom" not in str(ran.trace[2].config[NAME]).replace("booom", "")
    assert "Your last edit" not in prompts[2]


def test_a_late_crash_is_not_mended() -> None:
    ran, _ = replied(edits(("rate = 1", "rate = boom")), edits(("rate = 1", "rate = 2")), steps=5)
    assert [t.proposal.origin for t in ran.trace[1:]] == ["patch", "patch"]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (edits(("speed = 1", "x")), "does not occur"),
        (edits(("rate", "x")), "occurs 2 times"),
        (edits(("rate = 1", "rate = (")), "does not parse"),
        (edits(("rate = 1", "rate = 1")), "nothing differs"),
        (edits(), "either edits or a whole script"),
        (edits(("rate = 1", "rate = 2"), script=SMALL), "either edits or a whole script"),
        (edits(("rate = 1", "#" * 70_000)), "at most 60000 characters"),
    ],
)
def test_what_cannot_be_used_is_told_and_charged(reply: Any, told: str) -> None:
    ran, _ = replied(reply)
    failure = ran.trace[1].outcome.failure
    assert failure is not None
    assert failure.kind is FailureKind.INVALID_PROPOSAL
    assert told in failure.detail


def test_a_reply_that_does_not_match_is_asked_for_again() -> None:
    """By the stand-in, through the session: the repair round is a charged call."""
    ledger, task = CallLedger(), Judged()
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    with Session(client, Journal(None), ledger, 6) as session:
        ran = Loop(
            task=task,
            proposer=Karpathy(task.space),
            acceptance=Greedy(),
            trials=12,
            seed=6,
            asker=session.asker,
        )
        ran.run()
    problems = [call.problem for call in ledger.since(0) if call.problem]
    assert any("edit 1: its search text" in problem for problem in problems), problems
    assert 12 < ledger.total.calls <= 12 + len(problems)


def test_a_task_without_a_script_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose a task whose one parameter is a script"):
        Karpathy(SPACE)


def test_the_schema_takes_nothing_else() -> None:
    assert checked(json.dumps({**edits(), "more": 1}), SCHEMA)[1]
