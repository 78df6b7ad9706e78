"""A store that fails for a real reason: a search goes on, and what is missing is told later."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bilevel.errors import TrackingError
from bilevel.tracking import BulkTracker, MlflowTracker
from tests.tracking.reading import told_once
from tests.tracking.studies import info, records, run_search

Make = Callable[[str], MlflowTracker]
NOBODY = 65534
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def _path(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///"))


@contextlib.contextmanager
def held_by_another(uri: str) -> Iterator[None]:
    """Another process has the database locked for itself."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(_path(uri))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            assert holder.stdin is not None
            holder.stdin.close()


@pytest.mark.slow  # mlflow waits 20 s for a lock
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (MlflowTracker, "trial trial/1/1"),
        pytest.param(BulkTracker, "the trials of the search", marks=pytest.mark.nightly),
    ],
)
def test_a_locked_database_stops_tracking_once_and_the_next_run_fills_the_gap(
    uri: str, make: Make, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make(uri)
    tracker.start(info("A", 1))
    told = list(records("A", 1, 4))
    tracker.trial(told[0])
    with held_by_another(uri), caplog.at_level(logging.WARNING, "bilevel"):
        began_s = time.monotonic()
        for record in told[1:]:
            tracker.trial(record)
        tracker.end("done", {})
        assert time.monotonic() - began_s < 60  # one wait, not one for every trial
        with pytest.raises(TrackingError, match=r"locked by another program: wait .*tracking=none"):
            make(uri).start(info("A", 2))
    assert "database is locked by another program: wait for that one, or end it" in tracker.problem
    assert caplog.text.count("tracking stopped at") == 1
    assert f"tracking stopped at {what}" in caplog.text
    again = make(uri)
    run_search(again, "A", 1, trials=4)
    told_once(again, 4)


def test_a_lock_that_is_let_go_is_waited_for(uri: str) -> None:
    tracker = BulkTracker(uri)
    tracker.start(info())
    for record in records("A", 1, 2):
        tracker.trial(record)
    code = HOLD.replace("sys.stdin.read()", "__import__('time').sleep(1)")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(_path(uri))], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        tracker.end("done", {})
    assert tracker.problem == ""
    told_once(tracker, 2)


@contextlib.contextmanager
def ordinary_user(folder: Path) -> Iterator[None]:
    """The superuser may write anywhere; inside, this process is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    for above in [folder, *folder.parents][: len(folder.parts) - 2]:
        above.chmod(above.stat().st_mode | 0o055)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("make", [MlflowTracker, BulkTracker])
def test_a_read_only_database_is_told_to_an_ordinary_user(uri: str, make: Make) -> None:
    run_search(MlflowTracker(uri), "A", 1, trials=1)  # imports what there is to import
    before = _path(uri).read_bytes()
    _path(uri).chmod(0o444)
    with (
        ordinary_user(_path(uri).parent),
        pytest.raises(TrackingError, match=r"mlflow\.db is read-only; mend it.*tracking=none"),
    ):
        make(uri).start(info())
    assert _path(uri).read_bytes() == before


def test_a_read_only_folder_is_told_to_an_ordinary_user(tmp_path: Path, uri: str) -> None:
    run_search(MlflowTracker(uri), "A", 1, trials=0)
    tmp_path.chmod(0o555)
    with ordinary_user(tmp_path), pytest.raises(TrackingError, match="Permission denied"):
        MlflowTracker(f"sqlite:///{tmp_path}/other/m.db").start(info())
    tmp_path.chmod(0o755)


@pytest.fixture
def small_disk(tmp_path: Path, migrated: Path) -> Iterator[Path]:
    """A disk of its own with a tracking store and 1 MB left on it."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk needs the superuser")
    disk = tmp_path / "disk"
    disk.mkdir()
    size = migrated.stat().st_size + 1_000_000
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    try:
        shutil.copy(migrated, disk / "mlflow.db")
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(
    "make", [pytest.param(MlflowTracker, marks=pytest.mark.nightly), BulkTracker]
)
def test_a_full_disk_is_told_once_and_the_next_run_fills_the_gap(
    small_disk: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"sqlite:///{small_disk}/mlflow.db"
    tracker = make(uri)
    with caplog.at_level(logging.WARNING, "bilevel"):
        run_search(tracker, "A", 1, trials=120)
    assert "disk is full" in tracker.problem or "No space left on device" in tracker.problem
    assert "\n" not in tracker.problem
    assert caplog.text.count("tracking stopped at") == 1
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    again = make(uri)
    run_search(again, "A", 1, trials=120)
    assert again.problem == ""
    told_once(again, 120)


@contextlib.contextmanager
def server(folder: Path, uri: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`mlflow server` on a port, ended with everything that it started."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
             "--artifacts-destination", str(folder / "served"), "--port", str(port),
             "--workers", "1"],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    deadline_s = time.monotonic() + 120
    try:
        while not _answers(port) and time.monotonic() < deadline_s:
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
def test_a_server_that_dies_stops_tracking_once_and_the_next_run_fills_the_gap(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    told = list(records("A", 1, 4))
    with server(tmp_path, uri, port) as process, caplog.at_level(logging.WARNING, "bilevel"):
        tracker = MlflowTracker(address)
        tracker.start(info("A", 1))
        for record in told[:3]:
            tracker.trial(record)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        began_s = time.monotonic()
        for record in told[3:]:
            tracker.trial(record)
        tracker.end("done", {})
        assert time.monotonic() - began_s < 60
    assert address in tracker.problem
    assert "\n" not in tracker.problem
    assert caplog.text.count("tracking stopped at trial trial/1/3") == 1
    with server(tmp_path, uri, port):
        again = BulkTracker(address)
        run_search(again, "A", 1, trials=4)
        told_once(again, 4)
