"""The command as a shell runs it: exit codes, sweeps, resuming, and errors that teach."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bilevel.commands.noise import main as noise
from bilevel.commands.run import main
from bilevel.journal import Data, projection, read

ROOT = Path(__file__).parents[2]
FAST = ("task=trap", "tracking=none")


def bilevel(
    folder: Path, *overrides: str, module: str = "bilevel", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *overrides],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def journal(folder: Path, arm: str = "level1", seed: int = 1, study: str = "s") -> list[Data]:
    path = folder / "mlruns" / "searches" / study / f"{arm}-seed{seed}" / "journal.jsonl"
    return [projection(entry) for entry in read(path)]


def test_a_search_runs_and_a_finished_one_says_so(tmp_path: Path) -> None:
    first = bilevel(tmp_path, "study=s", "search.trials=4", *FAST)
    assert first.returncode == 0, first.stderr
    assert "study=s arm=level1 seed=1: 4 trials, best" in first.stdout
    assert sum(entry["kind"] == "trial" for entry in journal(tmp_path)) == 5
    again = bilevel(tmp_path, "study=s", "search.trials=4", *FAST)
    assert again.returncode == 0
    assert "is finished already (4 trials" in again.stdout
    assert "fresh=true" in again.stdout


def test_another_configuration_of_the_same_search_is_refused(tmp_path: Path) -> None:
    bilevel(tmp_path, "study=s", "search.trials=2", *FAST)
    other = bilevel(tmp_path, "study=s", "search.trials=3", "task=noisy", "tracking=none")
    assert other.returncode == 2
    assert "search.trials: was 2, now 3" in other.stderr
    assert "task.landscape: was 'trap', now 'noisy'" in other.stderr


def test_fresh_starts_over_and_keeps_the_old_one(tmp_path: Path) -> None:
    bilevel(tmp_path, "study=s", "search.trials=2", *FAST)
    fresh = bilevel(tmp_path, "study=s", "search.trials=3", "fresh=true", *FAST)
    assert fresh.returncode == 0, fresh.stderr
    folders = {path.name for path in (tmp_path / "mlruns" / "searches" / "s").iterdir()}
    assert folders == {"level1-seed1", "level1-seed1.old1"}
    assert sum(entry["kind"] == "trial" for entry in journal(tmp_path)) == 4


def test_a_sweep_runs_every_combination(tmp_path: Path) -> None:
    arms = "arm=level1,level1_5,restart,random"
    swept = bilevel(tmp_path, "-m", "study=s", arms, "seed=1,2", "search.trials=6", *FAST)
    assert swept.returncode == 0, swept.stderr
    for arm in ("level1", "level1_5", "restart", "random"):
        for seed in (1, 2):
            trials = [e for e in journal(tmp_path, arm, seed) if e["kind"] == "trial"]
            assert sum(e["key"].startswith("L1/") for e in trials) == 7
    tuned = [e for e in journal(tmp_path, "level1_5") if e["key"].startswith("L1.5/")]
    assert [e["key"] for e in tuned if e["kind"] == "trial"] == ["L1.5/T0", "L1.5/T1"]


@pytest.mark.slow
def test_the_joblib_launcher_gives_the_same_searches(tmp_path: Path) -> None:
    arguments = ("-m", "study=s", "seed=1,2", "search.trials=6", *FAST)
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    for folder, extra in (("one", ()), ("two", joblib)):
        (tmp_path / folder).mkdir()
        ran = bilevel(tmp_path / folder, *arguments, *extra)
        assert ran.returncode == 0, ran.stderr
    for seed in (1, 2):
        assert journal(tmp_path / "one", seed=seed) == journal(tmp_path / "two", seed=seed)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("search.trails=3", "did you mean search.trials?"),
        ("serach.trials=3", "Valid here: study"),
        ("llm.base_ulr=x", "llm.base_url"),
        ("arm=level3", "level1_5"),
        ("task=cpugpt", "cpu_gpt"),
        ("search.trials=many", "search.trials='many': expected a whole number"),
        ("search.trials=0", "at least 1"),
        ("seed=-1", "seed=-1"),
        ("study='a b'", "study='a b'"),
        ("executor.workers=0", "executor.workers=0"),
        ("task.landscape=hill", "valid: trap, interaction"),
        ("inner.proposer.max_changes=9", "max_changes=9"),
        ("llm.base_url=nowhere", "llm.base_url='nowhere'"),
        ("fresh=no", "fresh='no': expected true or false"),
        ("dry_run=maybe", "dry_run='maybe'"),
        ("study=null", "study=None"),
        ("search=3", "search=3: expected a group"),
        ("task=null", "Config group override must be a string"),
        ("llm.temperature=7", "llm.temperature=7: expected a number in [0, 2]"),
        ("task.noise_sd=nan", "task.noise_sd=nan"),
        ("executor.workers=1.5", "executor.workers=1.5"),
        ("llm.api_key_env=sk-secret", "llm.api_key_env=(hidden)"),
        ("mechanisms=restart mechanisms.restart.period=0", "restart: period=0"),
        ("outer=tuner outer.levels.tuner.level=1", "outer.levels.tuner.level=1"),
        ("llm=none inner=llm", "choose one with llm="),
        ("inner.acceptance=null", "inner.acceptance is missing"),
        ("foo", "bad input: foo is not an override; write key=value"),
        ("+mechanisms=tabu", "bad input: mechanisms has a choice already; write mechanisms=tabu"),
        ("+arm=tabu", "bad input: arm has a choice already; write arm=tabu"),
        ("+experiment=demo", "bad input: +experiment=demo is a sweep: add -m"),
    ],
)
def test_bad_input_exits_2_and_names_the_valid_choices(
    tmp_path: Path, override: str, told: str
) -> None:
    ran = bilevel(tmp_path, *FAST, *(override.split(" ") if "'" not in override else [override]))
    assert ran.returncode == 2, ran.stderr
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "sk-secret" not in ran.stderr


def test_a_spent_budget_exits_3_and_more_budget_continues(tmp_path: Path) -> None:
    stopped = bilevel(tmp_path, "study=s", "search.trials=6", "llm.max_calls=3", *FAST)
    assert stopped.returncode == 3
    assert "raise llm.max_calls" in stopped.stderr
    kept = len(journal(tmp_path))
    assert kept > 5
    ran = bilevel(tmp_path, "study=s", "search.trials=6", *FAST)
    assert ran.returncode == 0, ran.stderr
    assert len(journal(tmp_path)) > kept


def test_a_key_that_is_missing_is_told_before_anything_is_spent(tmp_path: Path) -> None:
    ran = bilevel(tmp_path, "llm=deepseek", *FAST, DEEPSEEK_API_KEY="")
    assert ran.returncode == 2
    assert "DEEPSEEK_API_KEY" in ran.stderr


def test_dry_run_spends_nothing(tmp_path: Path) -> None:
    ran = bilevel(tmp_path, "dry_run=true", "llm=deepseek", "arm=level1_5")
    assert ran.returncode == 0, ran.stderr
    assert "30 trials, 11 for baselines and confirming" in ran.stdout
    assert "35 model calls" in ran.stdout
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (("task=script", "task.file=no.py"), "no.py cannot be read as a script"),
        (
            ("task=script", "task.file=fit.py", "+task.parameters.RATE.low=0"),
            "RATE: low=0 with log: true",
        ),
    ],
)
def test_a_dry_run_fails_as_the_run_does(tmp_path: Path, task: tuple[str, ...], told: str) -> None:
    (tmp_path / "fit.py").write_text("RATE = 0.5\nprint('val_loss:', RATE)\n")
    parameter = "+task.parameters.RATE={type: float, high: 1.0, log: true}"
    for arm in ("level1", "tpe"):
        for dry in ("true", "false"):
            command = (f"arm={arm}", parameter, *task, f"dry_run={dry}", "tracking=none")
            ran = bilevel(tmp_path, *command)
            assert (ran.returncode, ran.stdout) == (2, "")
            assert told in ran.stderr
            assert ran.stderr.count("\n") == 1


def test_a_sweep_is_planned_without_what_it_needs_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "it's here"
    place.mkdir()
    two = ("arm=level1", "seed=1,2", "dry_run=true")
    ran = bilevel(place, "-m", "+experiment=paper", *two, AUTORESEARCH="")
    assert ran.returncode == 0, ran.stderr
    assert "2 searches: 60 trials" in ran.stdout
    assert [*place.iterdir()] == []


def test_another_system_is_told_at_once_and_can_read_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert main([*FAST]) == 2
    assert noise(["task=trap"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"{label}: this is Darwin, and searches run on Linux only"
        for label in ("bad input", "error")
    ]
    assert main(["--help"]) == 0
    assert noise(["--help"]) == 0


def test_a_mistake_made_before_anything_was_measured_binds_nobody(tmp_path: Path) -> None:
    wrong = bilevel(tmp_path, "study=s", "search.trials=2", *FAST, "task.landscape=hill")
    assert wrong.returncode == 2
    right = bilevel(tmp_path, "study=s", "search.trials=2", *FAST)
    assert right.returncode == 0, right.stderr


def test_a_damaged_journal_is_told_and_fresh_mends_it(tmp_path: Path) -> None:
    command = ("study=s", "search.trials=2", *FAST)
    bilevel(tmp_path, *command)
    path = tmp_path / "mlruns" / "searches" / "s" / "level1-seed1" / "journal.jsonl"
    path.write_text("X" + path.read_text())
    damaged = bilevel(tmp_path, *command)
    assert damaged.returncode == 1
    assert "line 1 is damaged" in damaged.stderr
    assert bilevel(tmp_path, *command, "fresh=true").returncode == 0


def test_a_sweep_tells_every_search_that_failed_and_runs_the_others(tmp_path: Path) -> None:
    swept = bilevel(tmp_path, "-m", "study=s", "seed=1,-2,-3,4", "search.trials=2", *FAST)
    assert swept.returncode == 2
    assert "seed=-2" in swept.stderr
    assert "seed=-3" in swept.stderr
    assert len(journal(tmp_path, seed=4)) > 3
    capped = bilevel(tmp_path, "-m", "study=c", "seed=1,-2", "llm.max_calls=1", *FAST)
    assert capped.returncode == 2
    assert "raise llm.max_calls" in capped.stderr


def test_an_unreachable_endpoint_exits_1_with_one_line(tmp_path: Path) -> None:
    endpoint = (
        "llm=local",
        "llm.base_url=http://me:pw-sekrit@127.0.0.1:9/v1",
        "llm.max_attempts=1",
    )
    ran = bilevel(tmp_path, *FAST, "llm.model=m", *endpoint)
    assert ran.returncode == 1
    [line] = [line for line in ran.stderr.splitlines() if line.startswith("stopped:")]
    assert "no connection" in line
    assert "sekrit" not in ran.stderr + ran.stdout


def test_results_that_cannot_be_written_exit_1_with_one_line(tmp_path: Path) -> None:
    ran = bilevel(tmp_path, *FAST, "results=/dev/null")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "/dev/null" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_killed_leaves_no_search_running(tmp_path: Path, ending: int) -> None:
    command = ["-m", "study=s", "seed=1,2", "search.trials=100000", *FAST]
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "bilevel", *command, *joblib],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    searches = tmp_path / "mlruns" / "searches" / "s"
    journals = [searches / f"level1-seed{seed}" / "journal.jsonl" for seed in (1, 2)]
    deadline = time.monotonic() + 60
    while not all(j.exists() and j.stat().st_size > 9_000 for j in journals):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sweep.send_signal(ending)
    sweep.wait()
    time.sleep(1.0)
    sizes = [j.stat().st_size for j in journals]
    time.sleep(1.0)
    assert [j.stat().st_size for j in journals] == sizes


def test_help_needs_neither_hydra_nor_torch_nor_mlflow() -> None:
    code = (
        "import sys; from bilevel.commands.run import main; main(['--help']); "
        "print(sorted({'hydra', 'torch', 'mlflow', 'openai'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("[]\n")


def test_a_search_that_is_killed_continues_to_the_same_journal(tmp_path: Path) -> None:
    arguments = ["study=s", "search.trials=60", "arm=level1_5", *FAST]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert bilevel(tmp_path / "whole", *arguments).returncode == 0
    command = [sys.executable, "-m", "bilevel", *arguments]
    where = tmp_path / "killed" / "mlruns" / "searches" / "s" / "level1_5-seed1" / "journal.jsonl"
    for size in (3_000, 60_000):
        process = subprocess.Popen(
            command,
            cwd=tmp_path / "killed",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not (where.exists() and where.stat().st_size > size):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert bilevel(tmp_path / "killed", *arguments).returncode == 0
    assert journal(tmp_path / "killed", "level1_5") == journal(tmp_path / "whole", "level1_5")
