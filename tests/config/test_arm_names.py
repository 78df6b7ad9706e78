"""A search is labelled as what it composes, by the command itself."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevel.commands.promote import main as promote
from bilevel.commands.replay import main as replay
from bilevel.commands.sync import main as sync
from bilevel.config.arm_names import LONGEST, _short
from bilevel.config.declared import Platform
from bilevel.config.files import CONF
from bilevel.search.from_journal import replay_exactly, settings_from_journal
from bilevel.settings import settings_of
from bilevel.tracking.store import Store
from tests.commands.test_run import bilevel
from tests.kills import Run, Searches

FAST = ("study=s", "task=trap", "tracking=none", "search.trials=2", "search.confirm_seeds=0")


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


def ran(warm: Searches, folder: Path, *overrides: str) -> tuple[int, str]:
    """The exit code of the command, and what it said."""
    log = folder / "output.log"
    log.unlink(missing_ok=True)
    return warm.run(Run(str(folder), (*FAST, *overrides))), log.read_text()


def searches(folder: Path) -> dict[str, dict[str, Any]]:
    """Folder of a search -> what decides it."""
    found = sorted(folder.glob("mlruns/searches/s/*/journal.jsonl"))
    lines = {path.parent.name: path.read_text().splitlines()[0] for path in found}
    return {name: json.loads(line)["data"]["deciding"] for name, line in lines.items()}


@pytest.mark.parametrize(
    ("overrides", "arm"),
    [
        (("arm=level1",), "level1"),
        (("arm=curated",), "curated"),
        (("arm=tabu", "mechanisms=tabu"), "tabu"),
        (("arm=level1", "acceptance=noise_aware", "acceptance.sd=0.1"), "level1"),
        (("arm=level1", "mechanisms=tabu"), "level1-tabu"),
        (("arm=level1", "mechanisms=[tabu,placebo]"), "level1-tabu-placebo"),
        (("arm=curated", "mechanisms=[tabu,placebo]"), "curated-tabu-placebo"),
        (("arm=tabu", "mechanisms=none"), "tabu-none"),
        (("arm=level1", "outer=tuner", "mechanisms=placebo"), "level1-tuner-placebo"),
        (("arm=level1", "inner=sequential"), "level1-sequential"),
        (("arm=tabu", "without=[tabu]"), "tabu-without-tabu"),
        (("arm=curated", "without=[tabu,a b]"), "curated-without-tabu-without-a_b"),
        (("arm=level1", "mechanisms=tabu", "without=[tabu]"), "level1-tabu-without-tabu"),
        (("arm=random", "baseline=tpe"), "random-tpe"),
        (("arm=level1", "inner=baseline", "baseline=tpe"), "level1-baseline-tpe"),
    ],
)
def test_the_name_says_what_was_changed(
    warm: Searches, tmp_path: Path, overrides: tuple[str, ...], arm: str
) -> None:
    code, said = ran(warm, tmp_path, *overrides)
    assert (code, [*searches(tmp_path)]) == (0, [f"{arm}-seed1"]), said
    assert f"study=s arm={arm} seed=1: 2 trials" in said
    assert ran(warm, tmp_path, *overrides)[1].count("is finished already") == 1


def test_an_experiment_that_changes_a_group_counts_the_same(tmp_path: Path) -> None:
    for part in ("bilevel", "conf", "mechanisms"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CONF.parent / part, tmp_path / part, symlinks=True, ignore=ignored)
    for name, choice in {"one": "tabu", "two": "[tabu, placebo]", "three": "none"}.items():
        text = f"# @package _global_\ndefaults:\n  - override /mechanisms: {choice}\n"
        (tmp_path / "conf" / "experiment" / f"{name}.yaml").write_text(text)
    swept = bilevel(tmp_path, "-m", *FAST, "+experiment=one,two,three", PYTHONPATH=str(tmp_path))
    assert swept.returncode == 0, swept.stderr
    assert [*searches(tmp_path)] == [
        *("level1-seed1", "level1-tabu-placebo-seed1", "level1-tabu-seed1")
    ]


def test_in_a_sweep_of_several_processes_too(tmp_path: Path) -> None:
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    arms = ("arm=level1,random", "mechanisms=none,[tabu,placebo]", "llm=scripted")
    swept = bilevel(tmp_path, "-m", *FAST, *arms, *joblib)
    assert swept.returncode == 0, swept.stderr
    names = ("level1", "level1-tabu-placebo", "random", "random-tabu-placebo")
    assert [*searches(tmp_path)] == [f"{name}-seed1" for name in names]
    assert [d["llm.name"] for d in searches(tmp_path).values()] == [
        *("scripted", "scripted", "none", "scripted")
    ]


def test_an_arm_without_a_model_keeps_none_whatever_its_sweep_has(
    warm: Searches, tmp_path: Path
) -> None:
    for arm in ("random", "tpe", "cmaes", "gp"):
        code, said = ran(warm, tmp_path, f"arm={arm}", "llm=openai", "llm.max_calls=3")
        assert code == 0, said
    assert {found["llm.name"] for found in searches(tmp_path).values()} == {"none"}
    _, said = ran(warm, tmp_path, "arm=random", "llm=scripted", "dry_run=true")
    assert "llm=none" in said
    assert "about 0 model calls" in said


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("arm=level1", "baseline=tpe"), "choose arm=tpe (or inner=baseline)"),
        (("arm=tpe", "inner=llm"), "baseline=tpe is not asked where inner=llm: choose arm=tpe"),
        (("arm=tabu", "mechanisms=[]"), "mechanisms=none is one"),
        (("arm=[level1,tabu]",), "arm=[level1, tabu]: expected one; several are a sweep"),
    ],
)
def test_what_would_be_ignored_is_refused(
    warm: Searches, tmp_path: Path, overrides: tuple[str, ...], told: str
) -> None:
    code, said = ran(warm, tmp_path, *overrides)
    assert code == 2
    assert told in said


def test_every_command_finds_it_by_that_name(
    warm: Searches,
    tmp_path: Path,
    migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ran(warm, tmp_path, "arm=level1", "mechanisms=tabu", "search.trials=4")[0] == 0
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(migrated.read_bytes())
    monkeypatch.chdir(tmp_path)
    named = ["study=s", "arm=level1-tabu", "seed=1"]
    assert sync(["study=s"]) == 0
    store = Store("sqlite:///mlruns/mlflow.db", write=False)
    runs = store.runs(store.studies()["s"], "tags.kind = 'search'")
    assert [run.tags["arm"] for run in runs] == ["level1-tabu"]
    assert replay(named) == 0
    assert replay([*named, "without=tabu", "tracking=none"]) == 0
    assert (tmp_path / "mlruns/searches/s.replays/level1-tabu.without-tabu-seed1").is_dir()
    assert promote([*named, "mechanism=x"]) == 2
    assert "this search invented and admitted: none" in capsys.readouterr().err


def test_what_was_run_under_its_old_name_is_still_read(warm: Searches, tmp_path: Path) -> None:
    """Before, an arm that something was left out of was called as if it were whole."""
    assert ran(warm, tmp_path, "arm=tabu", "without=[tabu]")[0] == 0
    folder = tmp_path / "mlruns" / "searches" / "s"
    (folder / "tabu-without-tabu-seed1").rename(folder / "tabu-seed1")
    path = folder / "tabu-seed1" / "journal.jsonl"
    path.write_text(path.read_text().replace("arm=tabu-without-tabu", "arm=tabu"))
    found = replay_exactly(settings_from_journal(path, CONF, ["tracking=none"]), path)
    assert (found.complete, found.identity.arm) == (True, "tabu")
    code, said = ran(warm, tmp_path, "arm=tabu")
    assert (code, "without: was" in said) == (2, True)


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    one, two = (_short("-".join(["level1", *["mechanism"] * 12, end])) for end in "ab")
    assert one != two
    assert len(one) == len(two) == LONGEST
    assert all(settings_of(Platform)["arm"].allows(name) for name in (one, two, "level1-tabu"))
