"""Being asked to end, by a signal that reaches all processes of a job in no order."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bilevel.workers.stopping import GRACE_S, Stopped, stoppable, told_to_end
from tests.cluster.support import ROOT, bilevel, outcomes, training, until
from tests.processes import descendants


def test_sigterm_raises_once_and_the_handler_before_is_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stopped() -> None:
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # may not disturb the closing

    with pytest.raises(Stopped):
        stopped()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_launcher_s_own_signal_is_handed_on_when_everything_is_closed() -> None:
    told: list[str] = []

    def stopped() -> None:
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGUSR2)
            finally:
                told.append("closed")

    before = signal.signal(signal.SIGUSR2, lambda *_: told.append("the launcher"))
    try:
        with pytest.raises(Stopped):
            stopped()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert told == ["closed", "the launcher"]


def test_no_hook_or_store_takes_it_for_a_failure_of_its_own() -> None:
    assert not issubclass(Stopped, Exception)


def test_another_thread_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def inside() -> None:
        with stoppable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


def test_who_was_asked_to_end_is_told_from_who_failed() -> None:
    assert told_to_end(-1, signal.SIGTERM)
    assert told_to_end(128 + signal.SIGUSR2)  # a shell whose child it was
    assert not any(told_to_end(code) for code in (0, 1, 15, 127))
    assert not told_to_end(-1, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cancelled_search_records_no_crash_and_goes_on(tmp_path: Path, workers: int) -> None:
    command = ["study=s", "inner.batch=2", f"executor.workers={workers}", *training(tmp_path)]
    search = subprocess.Popen(
        [sys.executable, "-m", "bilevel", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until((tmp_path / "begun").exists)
    for pid in descendants(search.pid):
        os.kill(pid, signal.SIGTERM)
    time.sleep(GRACE_S / 2)
    search.send_signal(signal.SIGTERM)
    _, told = search.communicate(timeout=30)
    assert search.returncode == 143
    assert "the same command continues" in told
    assert "Traceback" not in told
    assert len(outcomes(tmp_path)) == 1
    (tmp_path / "quick").touch()
    ran = bilevel(tmp_path, *command)
    assert ran.returncode == 0, ran.stderr
    assert [outcome["failure"] for outcome in outcomes(tmp_path)] == [None] * 4
