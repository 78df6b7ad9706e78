"""Unusable replies cost the trial they were asked for and nothing else."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bilevel.journal import Data
from tests.faults.commands import Commands, Ran, journal
from tests.faults.replies import BAD_REPLIES, BadReply, good, proposal
from tests.faults.server import TRIALS, Act, Asked, Server, says

SETTINGS = (
    f"search.trials={TRIALS}",
    "task=trap",
    "task.noise_sd=0",
    "tracking=none",
    "llm=local",
)
REPLIES = {bad.fault: bad.reply for bad in BAD_REPLIES}
UNREPAIRED, REPAIRED = 2, 3


@dataclass(frozen=True)
class Swept:
    """One command that ran a search for each kind of bad reply, and what its server was asked."""

    folder: Path
    ran: Ran
    asked: Sequence[Asked]


def misled(asked: Asked) -> Act:
    """The second trial's repair fails as well, the third one's gives a good reply."""
    unusable = asked.trial == UNREPAIRED or (asked.trial == REPAIRED and not asked.repair)
    return REPLIES[asked.model] if unusable else says(good(asked.trial))


@pytest.fixture(scope="module")
def swept(command: Commands, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    folder = tmp_path_factory.mktemp("swept")
    studies = ("-m", f"study={','.join(REPLIES)}", "llm.model=${study}")
    locking = "task._target_=tests.faults.commands.locked_task"
    with Server(misled) as server:
        ran = command(folder, *studies, *SETTINGS, locking, f"llm.base_url={server.url}")
        yield Swept(folder, ran, server.asked)


def trials(entries: Sequence[Data], level: float = 1) -> list[Data]:
    kept = [e for e in entries if e["kind"] == "trial" and e["key"].startswith(f"L{level}/")]
    return [entry["data"] for entry in kept]


@pytest.mark.parametrize("bad", BAD_REPLIES, ids=lambda bad: bad.fault)
def test_bad_reply(swept: Swept, bad: BadReply) -> None:
    entries = journal(swept.folder, bad.fault)
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
    asked = [asked for asked in swept.asked if asked.model == bad.fault]
    assert len(asked) == TRIALS + 2
    assert all(re.search(bad.told, repair.prompt) for repair in asked if repair.repair)
    assert "invalid_proposal: " in asked[-1].prompt


def test_the_command_ended_well_and_nothing_was_executed(swept: Swept) -> None:
    assert swept.ran.code == 0, swept.ran.err
    assert "Traceback" not in swept.ran.err
    assert swept.ran.out.count(f"{TRIALS} trials, best") == len(BAD_REPLIES)
    assert {path.name for path in swept.folder.iterdir()} == {"mlruns", "out", "err"}


def test_a_reply_that_is_cut_off_is_charged_in_full(swept: Swept) -> None:
    """Of three megabytes two are received: about half a million tokens."""
    entries = journal(swept.folder, "three-megabytes")
    replies = [e["data"] for e in entries if e["key"] == "L1/T2/propose/0/0"]
    assert [reply["estimated"] for reply in replies] == [True]
    assert replies[0]["completion_tokens"] >= 500_000
    assert len(replies[0]["text"]) == 200_000


def test_an_experiment_that_was_run_before_is_charged_and_not_run_again(
    command: Commands, tmp_path: Path
) -> None:
    back = proposal(("WEIGHT_DECAY", 0.2))

    def script(asked: Asked) -> Act:
        return says(back if asked.trial == UNREPAIRED else good(asked.trial))

    with Server(script) as server:
        ran = command(tmp_path, "study=s", *SETTINGS, f"llm.base_url={server.url}")
    assert ran.code == 0, ran.err
    entries = journal(tmp_path)
    told = trials(entries)
    assert [trial["decision"] for trial in told] == ["keep", "keep", "discard", "keep", "keep"]
    assert [trial["duplicate_of"] for trial in told] == [None, None, 0, None, None]
    assert told[UNREPAIRED]["value"] == told[0]["value"]
    measured = [entry["key"] for entry in entries if entry["kind"] == "outcome"]
    measured = [key for key in measured if not key.startswith("confirm/")]
    assert measured == ["L1/T0", "L1/T1", "L1/T3", "L1/T4"]
    assert "discard, repeats trial 0" in server.asked[-1].prompt


def test_a_tuner_that_is_not_understood_changes_nothing(command: Commands, tmp_path: Path) -> None:
    def script(asked: Asked) -> Act:
        return says(good(asked.trial) if asked.trial else "Freeze everything!")

    tuner = ("arm=level1_5", "outer.levels.tuner.every=2")
    with Server(script) as server:
        ran = command(tmp_path, "study=s", *SETTINGS, *tuner, f"llm.base_url={server.url}")
    assert ran.code == 0, ran.err
    entries = journal(tmp_path, arm="level1_5")
    tuned = trials(entries, 1.5)[1:]
    assert tuned
    for trial in tuned:
        assert trial["proposal"]["changes"] == {}
        assert re.search(r"not tuned.*no JSON object", trial["proposal"]["hypothesis"])
    assert [trial["decision"] for trial in trials(entries)] == ["keep"] * (TRIALS + 1)
