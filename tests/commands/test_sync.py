"""What was run untracked is in the store afterwards, as if it had been tracked all along."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevel.commands.sync import main
from bilevel.journal import Journal
from bilevel.tracking.store import Store
from tests.kills import Kill, Run, Searches

ARMS = ("tabu", "level1_5", "random")
TRAP = ("study=s", "task=trap", "search.trials=6")
VOLATILE = {"clock/wall_s", "wall_s", "search_id"}


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


@pytest.fixture(scope="module")
def searched(warm: Searches, tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Path:
    """The same searches twice: tracked as they ran, and untracked."""
    folder = tmp_path_factory.mktemp("searched")
    for name in ("tracked", "untracked"):
        (folder / name / "mlruns").mkdir(parents=True)
        shutil.copy(migrated, folder / name / "mlruns" / "mlflow.db")
    for arm in ARMS:
        for name, tracking in (("tracked", "mlflow"), ("untracked", "none")):
            command = (*TRAP, f"arm={arm}", f"tracking={tracking}")
            warm.killed(folder / name, command, [])
    return folder


@pytest.fixture
def untracked(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(searched / "untracked", tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def held(folder: Path) -> list[dict[str, Any]]:
    """Everything a store holds of study s, without ids and times."""
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db", write=False)
    found = []
    for run in store.runs(store.studies()["s"], ""):
        tags = {k: v for k, v in run.tags.items() if not k.startswith("mlflow.")}
        found.append(
            {
                "name": run.name,
                "status": run.status,
                "tags": {k: v for k, v in tags.items() if k not in VOLATILE},
                "metrics": {k: v for k, v in run.metrics.items() if k not in VOLATILE},
            }
        )
    return sorted(found, key=lambda run: (run["tags"]["arm"], run["tags"].get("label", "")))


def test_an_untracked_study_is_synced_as_if_it_had_been_tracked(
    searched: Path, untracked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study=s"]) == 0
    out = capsys.readouterr().out
    assert "3 searches with 21 trials written, 0 were there already, 0 could not" in out
    assert held(untracked) == held(searched / "tracked")
    assert main(["study=s"]) == 0
    assert "0 searches with 0 trials written, 3 were there already" in capsys.readouterr().out
    assert held(untracked) == held(searched / "tracked")


def test_a_finished_search_whose_database_is_deleted_is_tracked_anew(
    searched: Path,
    warm: Searches,
    tmp_path: Path,
    migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(searched / "tracked", tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    database = tmp_path / "here" / "mlruns" / "mlflow.db"
    shutil.rmtree(database.parent / "artifacts")
    before = database.read_bytes()

    def again(command: str) -> str:
        """The same command for every arm, or one sync of them all."""
        if command == "sync":
            assert main(["study=s"]) == 0
            return capsys.readouterr().out
        (tmp_path / "here" / "output.log").unlink()
        for arm in ARMS:
            warm.killed(tmp_path / "here", (*TRAP, f"arm={arm}", "tracking=mlflow"), [])
        return (tmp_path / "here" / "output.log").read_text()

    assert "3 were there already" in again("sync")
    assert again("run").count("is finished already") == 3
    assert database.read_bytes() == before
    for command in ("sync", "run"):
        for file in database.parent.glob("mlflow.db*"):
            file.unlink()
        if command == "run":  # of another search: the file alone is no answer
            shutil.copy(migrated, database)
        again(command)
        assert held(tmp_path / "here") == held(searched / "tracked")
        assert again("run").count("is finished already") == 3


def test_in_several_processes_it_is_the_same(searched: Path, untracked: Path) -> None:
    """As a shell starts it: what is sent to the processes has to be found there."""
    ran = subprocess.run(
        [sys.executable, "-m", "bilevel", "sync", "study=s", "processes=2"],
        cwd=untracked,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "3 searches with 21 trials written, 0 were there already, 0 could not" in ran.stdout
    assert held(untracked) == held(searched / "tracked")


def test_a_search_that_was_tracked_in_part_is_completed(
    searched: Path, warm: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated: Path
) -> None:
    (tmp_path / "mlruns").mkdir()
    shutil.copy(migrated, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for arm in ARMS:
        command = (*TRAP, f"arm={arm}")
        assert warm.run(Run(str(tmp_path), (*command, "tracking=mlflow"), Kill("logging", 23, 0.2)))
        warm.killed(tmp_path, (*command, "tracking=none"), [])
    assert main([]) == 0
    assert held(tmp_path) == held(searched / "tracked")


def test_an_unfinished_search_is_synced_as_far_as_it_got_and_ended_later(
    searched: Path, warm: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated: Path
) -> None:
    (tmp_path / "mlruns").mkdir()
    shutil.copy(migrated, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    command = (*TRAP, "arm=tabu", "tracking=none")
    assert warm.run(Run(str(tmp_path), command, Kill("trial", 4, 0.2))) < 0
    assert main(["study=s"]) == 0
    begun = held(tmp_path)
    assert [run["status"] for run in begun if run["tags"]["kind"] == "search"] == ["RUNNING"]
    assert sum(run["tags"]["kind"] == "trial" for run in begun) == 4
    warm.killed(tmp_path, command, [])
    assert main(["study=s"]) == 0
    assert held(tmp_path) == [r for r in held(searched / "tracked") if r["tags"]["arm"] == "tabu"]


def test_what_cannot_be_synced_is_told_and_the_others_are_written(
    untracked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = untracked / "mlruns" / "searches" / "s"
    damaged = folder / "random-seed1" / "journal.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b'"kind": "outcome"', b"kind: outcome", 1))
    with Journal(folder / "tabu-seed1" / "journal.jsonl"):
        assert main(["study=s"]) == 1
    captured = capsys.readouterr()
    assert "1 searches with 7 trials written, 0 were there already, 2 could not" in captured.out
    assert "line 5 is damaged" in captured.err
    assert "is being run by process" in captured.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["study=t"], 2, "there are: s"),
        (["stdy"], 2, "usage"),
        (["study=s", "tracking=none"], 2, "there is no store to write to"),
        (["study=s", "tracking.uri=http://127.0.0.1:9"], 1, "does not answer"),
        (["study=s", "search.trials=3"], 1, "would make it another search"),
    ],
)
def test_bad_input_is_told(
    untracked: Path, arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert said in capsys.readouterr().err


def test_help_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "tracking.uri=URI" in capsys.readouterr().out
