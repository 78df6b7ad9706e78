"""Sweeps on a real Slurm: submitted, cancelled, continued."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bilevel.tracking import MlflowTracker
from tests.cluster.conftest import Slurm
from tests.cluster.support import ROOT, SEARCH, bilevel, journal, outcomes, training, until

pytestmark = pytest.mark.slow
SLURM = (
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.timeout_min=20",
    "hydra.launcher.max_num_timeout=1",
)


def test_a_sweep_is_run_by_slurm_and_its_exit_code_comes_back(slurm: Slurm, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    sweep = ("-m", "study=s", "seed=1,2", *SEARCH, "tracking=none")
    ran = bilevel(tmp_path, *sweep, *SLURM, environment=slurm.environment)
    assert ran.returncode == 0, ran.stderr
    assert bilevel(tmp_path / "here", *sweep).returncode == 0
    for search in ("level1-seed1", "level1-seed2"):
        assert journal(tmp_path, search) == journal(tmp_path / "here", search)
    capped = ("-m", "study=t", "seed=1,2", *SEARCH, "tracking=none", "llm.max_calls=2")
    ran = bilevel(tmp_path, *capped, *SLURM, environment=slurm.environment)
    assert ran.returncode == 3, ran.stderr
    assert not list(tmp_path.glob(".bilevel-*"))


def test_a_study_on_slurm_is_tracked_in_postgres_and_reported(
    slurm: Slurm, database: str, tmp_path: Path
) -> None:
    secret = urlsplit(database).password
    assert secret is not None
    uri = f"tracking.uri={database.replace(f':{secret}@', '@')}"
    environment = {**slurm.environment, "PGPASSWORD": secret}  # as a .pgpass file would give it
    study = ("-m", "study=s", "arm=level1,tabu", "seed=1,2", "task=trap", "search.trials=4", uri)
    ran = bilevel(tmp_path, *study, *SLURM, environment=environment)
    assert ran.returncode == 0, ran.stderr
    store = MlflowTracker(database).store
    searches = store.runs(store.studies()["s"], "tags.kind = 'search'")
    assert [search.status for search in searches] == ["FINISHED"] * 4
    assert len(store.runs(store.studies()["s"], "tags.kind = 'trial'")) == 4 * 5
    told = bilevel(tmp_path, "study=s", uri, module="bilevel.report", environment=environment)
    assert told.returncode == 0, told.stderr
    assert "level1" in told.stdout
    assert "tabu" in told.stdout
    assert secret not in ran.stdout + ran.stderr + told.stdout + told.stderr


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["TERM", "USR2"])
def test_a_cancelled_job_records_no_crash_and_the_same_command_continues_it(
    slurm: Slurm, tmp_path: Path, how: str, workers: int
) -> None:
    """USR2 is what Slurm sends before the time is up, or to make place for another job."""
    settings = ["-m", "study=s", "seed=1", "inner.batch=2", f"executor.workers={workers}"]
    settings += [*training(tmp_path), *SLURM]
    with (tmp_path / "sweep.log").open("wb") as log:
        sweep = subprocess.Popen(
            [sys.executable, "-m", "bilevel", *settings],
            cwd=tmp_path,
            env={**os.environ, **slurm.environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
    until((tmp_path / "begun").exists)
    job = slurm.run("squeue", "-h", "-o", "%A").split()[0]
    (tmp_path / "begun").unlink()
    slurm.run("scancel", *([] if how == "TERM" else [f"--signal={how}"]), job)
    if how == "USR2":
        until(lambda: slurm.run("squeue", "-h", "-o", "%T").strip() == "PENDING")
        slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # or in two minutes
        until((tmp_path / "begun").exists)
        slurm.run("scancel", job)
    assert sweep.wait(120) == 128 + signal.SIGTERM, (tmp_path / "sweep.log").read_text()
    assert len(outcomes(tmp_path)) == 1
    (tmp_path / "quick").touch()
    ran = bilevel(tmp_path, *settings, environment=slurm.environment)
    assert ran.returncode == 0, ran.stderr
    assert [outcome["failure"] for outcome in outcomes(tmp_path)] == [None] * 4
