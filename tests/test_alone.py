"""A search of somebody's own script comes out of its journal when nothing else is left of it."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bilevel.commands.replay import main as replay
from bilevel.commands.sync import main as sync
from bilevel.config.files import CONF
from bilevel.search.from_journal import replay_exactly, settings_from_journal
from bilevel.tracking.store import Store
from tests.faults.commands import Commands
from tests.tasks.test_autoresearch import checkout

OLD = Path(__file__).parent / "journals" / "a2dd99f_scripts"
SCRIPT = """\
from helper import base
RATE = 0.5
print("loss:", base + (RATE - 0.25) ** 2)
"""
QUICK = ("study=s", "search.trials=4", "search.confirm_seeds=1")
RATE = "+task.parameters.RATE={type: float, low: 0.0, high: 1.0}"


def of_a_script(command: Commands, here: Path) -> str:
    """A search of a script that needs a file beside it; the arm's name."""
    (here / "mine").mkdir()
    (here / "mine" / "fit.py").write_text(SCRIPT)
    (here / "mine" / "helper.py").write_text("base = 1.0\n")
    told = ("task=script", "task.file=mine/fit.py", "task.metric=loss", "task.files=[helper.py]")
    ran = command(here, *QUICK, *told, RATE, "arm=tabu", "tracking=none")
    assert ran.code == 0, ran.err
    return "tabu"


def of_a_checkout(command: Commands, here: Path) -> str:
    made = checkout(here, "print('val_bpb:', 1 + MATRIX_LR)")
    own = "task.command=['{python}','{script}']"
    names = {"AUTORESEARCH": str(made)}
    ran = command(here, *QUICK, "task=autoresearch", own, "arm=level1_5", "tracking=none", **names)
    assert ran.code == 0, ran.err
    made.rename(here / "mine")
    return "level1_5"


@pytest.mark.parametrize("search", [of_a_script, of_a_checkout])
def test_neither_its_files_nor_the_variable_that_named_them_are_needed(
    search: Callable[[Commands, Path], str],
    command: Commands,
    tmp_path: Path,
    migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arm = search(command, tmp_path)
    shutil.rmtree(tmp_path / "mine")
    monkeypatch.delenv("AUTORESEARCH", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(migrated, "mlruns/mlflow.db")
    named = ["study=s", f"arm={arm}", "seed=1"]
    assert replay(named) == 0, capsys.readouterr().err
    assert "is reproduced to the last digit: 4 trials\n" in capsys.readouterr().out
    assert sync(["study=s"]) == 0
    store = Store("sqlite:///mlruns/mlflow.db", write=False)
    assert len(store.runs(store.studies()["s"], "tags.kind = 'trial'")) == 5
    assert replay([*named, f"with={CONF.parent}/mechanisms/placebo.py", "tracking=none"]) == 1
    assert re.search("give task.file=PATH|give a checkout", capsys.readouterr().err)


@pytest.mark.parametrize("arm", ["level1", "tabu"])
def test_nor_by_a_journal_that_kept_less(arm: str, tmp_path: Path) -> None:
    """Of the digits' script and of a checkout, as the version a2dd99f wrote them."""
    path = tmp_path / "searches" / "od" / f"{arm}-seed1" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.decompress((OLD / f"{arm}-seed1.jsonl.gz").read_bytes()))
    found = replay_exactly(settings_from_journal(path, CONF, ["tracking=none"]), path)
    assert (found.complete, len(found.loops[0].trace)) == (True, 5)
    kept = found.loops[0].task.details()
    assert kept == ({"script_name": "digits.py"} if arm == "level1" else {"time_len": None})


def test_a_search_that_kept_less_is_continued(command: Commands, tmp_path: Path) -> None:
    of_a_script(command, tmp_path)
    path = tmp_path / "mlruns/searches/s/tabu-seed1/journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    [at] = [i for i, line in enumerate(lines) if '"material"' in line]
    assert '"clock": {"script_name": "fit.py"}' in lines[at]
    lines[at] = lines[at].replace(', "clock": {"script_name": "fit.py"}', "")
    path.write_text("".join(lines[: len(lines) // 2]))
    (tmp_path / "mine").rename(tmp_path / "moved")
    (tmp_path / "moved" / "fit.py").rename(tmp_path / "moved" / "fitted.py")
    told = (
        "task=script",
        "task.file=moved/fitted.py",
        "task.metric=loss",
        "task.files=[helper.py]",
    )
    ran = command(tmp_path, *QUICK, *told, RATE, "arm=tabu", "tracking=none")
    assert ran.code == 0, ran.err
    assert len(path.read_text().splitlines()) == len(lines)


def test_what_a_change_asks_anew_is_measured_with_the_file_that_is_given(
    command: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_a_script(command, tmp_path)
    (tmp_path / "mine").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    named = ["study=s", "arm=tabu", "seed=1", "without=tabu", "tracking=none"]
    assert replay([*named, "task.file=moved/fit.py"]) == 0, capsys.readouterr().err
    assert (tmp_path / "mlruns/searches/s.replays/tabu.without-tabu-seed1").is_dir()
