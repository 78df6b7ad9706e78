"""Workers as real processes: without secrets, bounded in time, gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bilevel.errors import TaskError
from bilevel.workers.job import LOG_LIMIT_BYTES, WorkerJob
from bilevel.workers.pool import ForkedRunner
from tests.processes import descendants, gone


@pytest.fixture
def runner() -> Iterator[ForkedRunner]:
    made = ForkedRunner(["tests.workers.targets:preload"])
    yield made
    made.close()


def call(name: str, *argv: str) -> tuple[str, list[str]]:
    return f"tests.workers.targets:{name}", list(argv)


def job(folder: Path, name: str, *argv: str, limit_s: float = 20.0) -> WorkerJob:
    target, arguments = call(name, *argv)
    return WorkerJob(arguments, folder, limit_s, target)


def test_output_exit_code_and_preload(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "speak", "val_bpb: 1.5", "3"))
    assert (ended.exit_code, ended.signal, ended.timed_out) == (3, 0, False)
    assert ended.output == "val_bpb: 1.5 warm\n"
    assert ended.wall_s < 20


def test_a_raising_target_shows_its_traceback(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "fail"))
    assert ended.exit_code == 1
    assert "ValueError: on purpose" in ended.output


def test_no_secret_reaches_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("SOME_TOKEN", "sk-very-secret")
    runner = ForkedRunner()
    for request in (job(tmp_path, "environment"), WorkerJob(["env"], tmp_path, 20.0)):
        ended = runner.run(request)
        assert "PATH=" in ended.output
        assert "secret" not in ended.output
    runner.close()


def test_a_job_past_its_limit_is_stopped_with_its_children(
    runner: ForkedRunner, tmp_path: Path
) -> None:
    ended = runner.run(job(tmp_path, "hang", limit_s=1.0))
    assert ended.timed_out
    assert ended.signal == signal.SIGKILL
    child = int(ended.output.split()[-1])
    assert gone(child)


def test_children_left_behind_are_ended(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "leave_a_child"))
    assert ended.exit_code == 0
    assert gone(int(ended.output.split()[-1]))


def test_children_that_left_the_group_are_ended_too(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "leave_a_daemon"))
    assert ended.exit_code == 0
    assert gone(int(ended.output.split()[-1]))


def test_a_server_that_died_between_jobs_is_replaced(runner: ForkedRunner, tmp_path: Path) -> None:
    for _ in range(3):
        assert runner.run(job(tmp_path, "speak", "again", "0")).exit_code == 0
        assert runner._server is not None
        runner._server._process.kill()
    runner.close()


def test_no_time_at_all_is_a_job_out_of_time(runner: ForkedRunner, tmp_path: Path) -> None:
    assert runner.run(job(tmp_path, "hang", limit_s=0.0)).timed_out


def test_jobs_run_at_the_same_time(runner: ForkedRunner, tmp_path: Path) -> None:
    folders = [tmp_path / str(n) for n in range(3)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(lambda f: runner.run(job(f, "meet", str(tmp_path), "3")), folders))
    assert [e.exit_code for e in ended] == [0, 0, 0]


def test_a_dead_server_costs_one_job(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "kill_the_server"))
    assert ended.exit_code == 1
    assert "worker server died" in ended.output
    assert runner.run(job(tmp_path, "speak", "again", "0")).exit_code == 0


def test_a_server_that_cannot_start_is_told(tmp_path: Path) -> None:
    runner = ForkedRunner(["tests.workers.targets:fail_to_load"])
    with pytest.raises(TaskError, match="before its first job"):
        runner.run(job(tmp_path, "speak", "x", "0"))


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from bilevel.workers.job import LOG_LIMIT_BYTES, WorkerJob
from bilevel.workers.pool import ForkedRunner
from tests.processes import descendants, gone
ForkedRunner().run(WorkerJob([], Path({str(tmp_path)!r}), 99.0, "tests.workers.targets:hang"))
"""
    parent, printed = begun(code, tmp_path)
    worker, child = map(int, printed.split()[-2:])
    parent.kill()
    parent.wait()
    assert gone(worker)
    assert gone(child)


def begun(code: str, place: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """A client whose job has printed something, and what; its logs lie in `place`/logs."""
    logs = place / "logs"
    logs.mkdir()
    client = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(logs)})
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for log in logs.glob("output-*"):
            if printed := log.read_text().strip():
                return client, printed
        time.sleep(0.02)
    raise AssertionError("nothing was printed")


def test_a_command_that_does_not_exist_is_told(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(WorkerJob(["no-such-command"], tmp_path, 20.0))
    assert ended.exit_code == 127
    assert "cannot start 'no-such-command'" in ended.output


def test_a_flooded_log_ends_its_job(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "flood", "100000", limit_s=60.0))
    assert (ended.flooded, ended.timed_out, ended.signal) == (True, False, signal.SIGKILL)
    assert len(ended.output) <= LOG_LIMIT_BYTES
    assert runner.run(job(tmp_path, "speak", "again", "0")).exit_code == 0


def test_a_long_log_is_read_from_its_first_line(runner: ForkedRunner, tmp_path: Path) -> None:
    ended = runner.run(job(tmp_path, "flood", "15"))
    assert (ended.flooded, ended.exit_code) == (False, 0)
    assert ended.output.startswith("0 x")
    assert ended.output.count("\n") == 15


def test_a_job_that_deletes_everything_it_can_see_is_heard_to_the_end(
    runner: ForkedRunner, tmp_path: Path
) -> None:
    (tmp_path / "old.log").touch()
    tidy = "rm -f ./*.log; echo one; rm -f $(readlink /proc/self/fd/1); rm -rf ./*; echo two; "
    ended = runner.run(WorkerJob(["sh", "-c", tidy], tmp_path, 20.0))
    assert (ended.exit_code, ended.output) == (0, "one\ntwo\n")
    assert [*tmp_path.iterdir()] == []
    flood = "rm -f $(readlink /proc/self/fd/1); yes"
    assert runner.run(WorkerJob(["sh", "-c", flood], tmp_path, 60.0)).flooded


def test_a_job_has_variables_of_its_own(runner: ForkedRunner, tmp_path: Path) -> None:
    for seed in ("7", "8"):
        asked = WorkerJob(["sh", "-c", "echo $SEED"], tmp_path, 20.0, environment={"SEED": seed})
        assert runner.run(asked).output == f"{seed}\n"
    assert runner.run(WorkerJob(["sh", "-c", "echo $SEED"], tmp_path, 20.0)).output == "\n"


@pytest.mark.parametrize("temporary", [True, False])
def test_a_temporary_folder_goes_with_its_client(tmp_path: Path, temporary: bool) -> None:
    folder = tmp_path / "trial"
    folder.mkdir()
    (tmp_path / "kept").touch()
    (folder / "data").symlink_to(tmp_path)
    code = f"""
from pathlib import Path
from bilevel.workers.job import WorkerJob
from bilevel.workers.pool import ForkedRunner
from tests.processes import descendants, gone
target = "tests.workers.targets:hang_with_a_daemon"
ForkedRunner().run(WorkerJob([], Path({str(folder)!r}), 99.0, target, temporary={temporary}))
"""
    parent, printed = begun(code, tmp_path)
    pids = [int(pid) for pid in printed.split()]
    server = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    parent.kill()
    parent.wait()
    assert all(gone(pid) for pid in [server, *pids])
    assert folder.exists() is not temporary
    assert [*(tmp_path / "logs").iterdir()] == []
    assert (tmp_path / "kept").exists()


STARTS = """\
import sys
from pathlib import Path
from bilevel.config.command_line import command
from bilevel.workers.job import WorkerJob
from bilevel.workers.pool import ForkedRunner
runner = ForkedRunner(["tests.workers.targets:linger"], {"BEGUN": sys.argv[1]})
sys.exit(command([], "", "", lambda _: runner.run(WorkerJob(["true"], Path("."), 20.0))))
"""


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_while_the_server_starts_is_quiet(tmp_path: Path, begun: bool) -> None:
    """While it imports what jobs need, and before it has come to that."""
    started = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(tmp_path / "begun")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not ((tmp_path / "begun").exists() if begun else descendants(started.pid)):
        time.sleep(0.001)
    server = descendants(started.pid)
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (130, "\nstopped; the same command continues from here\n")
    assert all(gone(pid) for pid in server)
