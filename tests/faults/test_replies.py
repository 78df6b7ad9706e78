"""Unusable replies cost the trial they were asked for and nothing else."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bilevel.journal import Data
from tests.faults.commands import Commands, Ran, journal
from tests.faults.replies import BAD_REPLIES, BadReply, good, proposal
from tests.faults.server import TRIALS, Act, Script, Server, says

SETTINGS = ("study=s", "task=trap", "task.noise_sd=0", "tracking=none", "llm=local")
UNREPAIRED, REPAIRED = 2, 3


def search(command: Commands, folder: Path, script: Script, *more: str) -> tuple[Ran, Server]:
    with Server(script) as server:
        settings = [*SETTINGS, f"search.trials={TRIALS}", f"llm.base_url={server.url}", *more]
        return command(folder, *settings), server


def trials(entries: Sequence[Data], level: float = 1) -> list[Data]:
    kept = [e for e in entries if e["kind"] == "trial" and e["key"].startswith(f"L{level}/")]
    return [entry["data"] for entry in kept]


@pytest.mark.parametrize("bad", BAD_REPLIES, ids=lambda bad: bad.fault)
def test_bad_reply(command: Commands, tmp_path: Path, bad: BadReply) -> None:
    """The second trial's repair fails as well, the third one's gives a good reply."""

    def script(trial: int, repair: bool) -> Act:
        unusable = trial == UNREPAIRED or (trial == REPAIRED and not repair)
        return bad.reply if unusable else says(good(trial))

    locking = ("task._target_=tests.faults.commands.locked_task",)
    ran, server = search(command, tmp_path, script, *locking)
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    entries = journal(tmp_path)
    told = trials(entries)
    assert [trial["decision"] for trial in told] == ["keep", "keep", "fail", "keep", "keep"]
    assert re.search(bad.told, told[UNREPAIRED]["proposal"]["problem"])
    assert told[UNREPAIRED]["proposal"]["changes"] == {}
    for number in (1, REPAIRED, TRIALS):
        assert told[number]["proposal"]["problem"] == ""
        assert proposal(*told[number]["proposal"]["changes"].items()) == good(number)
    replies = [entry["key"] for entry in entries if entry["kind"] == "reply"]
    repaired = [key for key in replies if key.endswith("/repair")]
    assert repaired == ["L1/T2/propose/0/0/repair", "L1/T3/propose/0/0/repair"]
    assert len(server.requests) == TRIALS + 2
    asked = [request["messages"][-1]["content"] for request in server.requests]
    assert all(re.search(bad.told, asked[repair]) for repair in (2, 4))
    assert "invalid_proposal: " in asked[-1]
    assert {path.name for path in tmp_path.iterdir()} == {"mlruns", "out", "err"}


def test_an_experiment_that_was_run_before_is_charged_and_not_run_again(
    command: Commands, tmp_path: Path
) -> None:
    back = proposal(("WEIGHT_DECAY", 0.2))

    def script(trial: int, repair: bool) -> Act:
        return says(back if trial == UNREPAIRED else good(trial))

    ran, server = search(command, tmp_path, script)
    assert ran.code == 0, ran.err
    entries = journal(tmp_path)
    told = trials(entries)
    assert [trial["decision"] for trial in told] == ["keep", "keep", "discard", "keep", "keep"]
    assert [trial["duplicate_of"] for trial in told] == [None, None, 0, None, None]
    assert told[UNREPAIRED]["value"] == told[0]["value"]
    measured = [entry["key"] for entry in entries if entry["kind"] == "outcome"]
    assert measured == ["L1/T0", "L1/T1", "L1/T3", "L1/T4"]
    assert "discard, repeats trial 0" in server.requests[-1]["messages"][-1]["content"]


def test_a_tuner_that_is_not_understood_changes_nothing(command: Commands, tmp_path: Path) -> None:
    def script(trial: int, repair: bool) -> Act:
        return says(good(trial) if trial else "Freeze everything!")

    ran, _ = search(
        command, tmp_path, script, "arm=level1_5", "outer.levels.tuner.every=2"
    )
    assert ran.code == 0, ran.err
    entries = journal(tmp_path, "level1_5")
    tuned = trials(entries, 1.5)[1:]
    assert tuned
    for trial in tuned:
        assert trial["proposal"]["changes"] == {}
        assert re.search("not tuned.*no JSON object", trial["proposal"]["hypothesis"])
    assert [trial["decision"] for trial in trials(entries)] == ["keep"] * (TRIALS + 1)
