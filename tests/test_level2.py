"""Level 2 from the command to the store: killed and continued, executed again, and tracked."""

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bilevel.commands.replay import replay
from bilevel.journal import Data
from bilevel.levels import writing
from bilevel.llm.client import ChatClient
from bilevel.tasks.surrogate import Surrogate
from bilevel.tracking.records import Run
from bilevel.tracking.store import Store
from tests.kills import Kill, Searches, journal

ARMS = ("bilevel_judged", pytest.param("bilevel", marks=pytest.mark.nightly))
COMMON = ("study=s", "task=trap", "seed=2", "search.trials=12")  # a text is refused first
KILLS = [
    Kill("call", 14, 0.9),  # an answer of the session, which nobody has heard
    Kill("hook", 1, 0.9),  # a hook's answer, which nobody has heard
]


@dataclass(frozen=True)
class Searched:
    """A search that ran unbroken and was tracked, and the same one killed on its way."""

    arm: str
    whole: Path
    broken: Path

    @property
    def named(self) -> tuple[str, ...]:
        return "study=s", f"arm={self.arm}", "seed=2"


@pytest.fixture(scope="module", params=ARMS)
def searched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated: Path
) -> Searched:
    folder = tmp_path_factory.mktemp("searched")
    made = Searched(request.param, folder / "whole", folder / "broken")
    (made.whole / "mlruns").mkdir(parents=True)
    made.broken.mkdir()
    shutil.copy(migrated, made.whole / "mlruns" / "mlflow.db")
    command = (*COMMON, f"arm={made.arm}")
    with Searches() as warm:
        warm.killed(made.whole, (*command, "tracking=mlflow"), [])
        assert warm.killed(made.broken, (*command, "tracking=none"), KILLS) == KILLS
    return made


def sessions(entries: list[Data]) -> list[dict[str, Any]]:
    """The mechanisms that level 2 proposed, in order."""
    tried = [entry["data"]["proposal"] for entry in entries if entry["kind"] == "trial"]
    return [proposal["mechanism"] for proposal in tried if "mechanism" in proposal]


def attached(entries: list[Data]) -> str:
    [made] = sessions(entries)
    assert made["admitted"]
    name: str = made["name"]
    return name


def test_killed_in_a_session_and_in_a_hook_it_has_the_journal_of_an_unbroken_one(
    searched: Searched,
) -> None:
    whole = journal(searched.whole)
    assert journal(searched.broken) == whole
    name = attached(whole)
    rows = [
        row
        for entry in whole
        if entry["kind"] == "hooks"
        for row in entry["data"]["calls"]
        if row["mechanism"] == name
    ]
    assert {row["trial"] for row in rows} == {*range(11, 13)}
    assert {row["hook"] for row in rows if row["hook"] == "coin"} == (
        {"coin"} if searched.arm == "bilevel_judged" else set()
    )


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be asked, evaluated or judged again."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("something was asked, evaluated or judged again")

    monkeypatch.setattr(ChatClient, "complete", refuse)
    monkeypatch.setattr(Surrogate, "evaluate", refuse)
    monkeypatch.setattr(writing, "admit", refuse)


@pytest.mark.usefixtures("alone")
def test_it_is_executed_again_from_its_journal_alone(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched.whole)
    console = Console(file=io.StringIO(), width=200)
    assert replay(searched.named, console) is None
    assert isinstance(console.file, io.StringIO)
    assert "is reproduced to the last digit: 12 trials\n" in console.file.getvalue()


def test_without_what_it_wrote_it_is_the_same_until_that_was_attached(
    searched: Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(searched.broken, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    name = attached(journal(searched.whole))
    command = (*searched.named, f"without={name}", "tracking=none")
    found = replay(command, Console(file=io.StringIO()))
    assert found is not None
    assert list(found.recorded.mechanisms) == [name]
    assert found.replayed.mechanisms == {}
    assert found.compared == 12
    assert found.answers_recorded > 10
    if found.changed:
        assert int(found.first.split()[1].rstrip(":")) > 10
    again = replay(command, Console(file=io.StringIO()))
    assert again == found


def artifacts(store: Store, run: Run) -> dict[str, str]:
    folder = Path(store._client.get_run(run.run_id).info.artifact_uri.removeprefix("file://"))
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_the_store_holds_the_session_and_what_it_wrote(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched.whole)
    entries = journal(searched.whole)
    [made], name = sessions(entries), attached(entries)
    store = Store(f"sqlite:///{searched.whole}/mlruns/mlflow.db", write=False)
    held = store.runs(store.studies()["s"], "")
    [session] = [
        run for run in held if run.tags.get("mechanism") == name and "admitted" in run.tags
    ]
    assert (session.tags["kind"], session.tags["level"]) == ("outer", "2")
    assert session.tags["admitted"] == "true"
    assert session.tags["domain"] == made["domain"]
    assert session.tags["attempts"] == str(len(made["attempts"]))
    files = artifacts(store, session)
    assert json.loads(files["research.json"]) == made
    for number, attempt in enumerate(made["attempts"], start=1):
        assert files[f"attempts/{number:02d}.py"] == attempt["source"]
        assert files[f"attempts/{number:02d}.txt"].startswith("passed parse: ")
    assert files["judgement.txt"].startswith(f"{name}: ")
    assert sum("research" in path for path in files if path.startswith("calls/")) >= 4
    [own] = [run for run in held if run.tags.get("kind") == "mechanism"]
    assert own.tags["mechanism"] == name
    own_files = artifacts(store, own)
    assert made["source"] in {own_files.get("source.py"), own_files.get("source.txt")}
