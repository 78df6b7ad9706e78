"""The world around a search fails: one line tells it, nothing measured is lost, it can go on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bilevel.journal import projection, read
from tests.kills import Run, Searches

ROOT = Path(__file__).parents[1]
SMALL = ("study=s", "search.trials=2", "task=trap")
COMMAND = ("study=s", "search.trials=60", "task=trap", "tracking=none")


@pytest.fixture(scope="module")
def warm() -> Iterator[Searches]:
    with Searches() as searches:
        yield searches


class Disk:
    """A small disk of one's own, which can be full or read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> None:
        kind = ["-t", "tmpfs"] if "remount" not in options else []
        command = ["mount", *kind, "-o", options, "none", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = Disk(folder)
    made.mount("size=40k")
    yield made
    subprocess.run(["umount", "-l", str(folder)], check=True)


def logged(folder: Path) -> str:
    """What the last runs in this folder printed, without the lines of progress."""
    text = (folder / "output.log").read_text()
    (folder / "output.log").unlink()
    return "".join(line for line in text.splitlines(keepends=True) if "seed 1  " not in line)


def entries(results: Path) -> list[object]:
    return [projection(e) for e in read(results / "searches/s/level1-seed1/journal.jsonl")]


@pytest.fixture(scope="module")
def unbroken(warm: Searches, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("unbroken")
    warm.killed(folder, COMMAND, [])
    return entries(folder / "mlruns")


def test_a_full_disk_ends_the_search_and_room_continues_it(
    disk: Disk, warm: Searches, tmp_path: Path, unbroken: list[object]
) -> None:
    run = Run(str(tmp_path), (*COMMAND, f"results={disk.folder}"))
    assert warm.run(run) == 1
    told = logged(tmp_path)
    assert "No space left on device" in told
    assert "make room there; what was measured is kept, the same command continues" in told
    assert told.count("\n") == 1
    kept = entries(disk.folder)
    assert 10 < len(kept) < len(unbroken)
    assert kept == unbroken[: len(kept)]
    disk.mount("remount,size=4m")
    assert warm.run(run) == 0
    assert entries(disk.folder) == unbroken


def test_a_disk_that_turns_read_only_ends_the_search_and_writing_again_continues_it(
    disk: Disk, warm: Searches, tmp_path: Path, unbroken: list[object]
) -> None:
    run = Run(str(tmp_path), (*COMMAND, f"results={disk.folder}"))
    assert warm.run(run) == 1  # full
    kept = entries(disk.folder)
    logged(tmp_path)
    disk.mount("remount,ro,size=4m")
    assert warm.run(run) == 1
    told = logged(tmp_path)
    assert "Read-only file system" in told
    assert "what was measured is kept, the same command continues" in told
    assert entries(disk.folder) == kept
    disk.mount("remount,rw,size=4m")
    assert warm.run(run) == 0
    assert entries(disk.folder) == unbroken


def test_a_store_that_does_not_answer_leaves_the_search_untracked_and_says_so(
    warm: Searches, tmp_path: Path, unbroken: list[object]
) -> None:
    away = ("tracking=mlflow", "tracking.uri=http://127.0.0.1:9")
    assert warm.run(Run(str(tmp_path), (*COMMAND[:-1], *away))) == 0
    told = logged(tmp_path)
    assert "the tracking store http://127.0.0.1:9 does not answer" in told
    assert "python -m bilevel sync study=s" in told
    assert entries(tmp_path / "mlruns") == unbroken


@pytest.mark.nightly
def test_four_sweeps_at_once_on_no_database_track_everything(tmp_path: Path) -> None:
    sweeps = [
        subprocess.Popen(
            [sys.executable, "-m", "bilevel", "-m", f"seed={n},{n + 4}", *SMALL],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    for sweep in sweeps:
        _, complaints = sweep.communicate(timeout=300)
        assert sweep.returncode == 0, complaints
    from bilevel.tracking.store import Store

    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db", write=False)
    runs = store.runs(store.studies()["s"], "tags.kind = 'search'")
    assert sorted(int(run.tags["seed"]) for run in runs) == list(range(8))
    assert {run.tags["ended"] for run in runs} == {"done"}
