"""The contract of every executor, on this machine and on a real Ray."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bilevel.errors import ConfigError, TaskError
from bilevel.journal import Journal, projection
from bilevel.tasks.command import CommandTask
from bilevel.trace import FailureKind, Outcome, Proposal, Trial
from bilevel.workers.executor import Executor, Local, Request, Serial
from bilevel.workers.ray_executor import Ray
from tests.helpers import Listed, Parabola, loop
from tests.processes import gone
from tests.tasks.test_command import task as command_task

NO_RAY = "a real Ray: .venv/bin/pip install -e '.[ray]'"
KILLS_ITS_SERVER = """\
import os, signal, time
RATE = 0.5
if RATE > 0.6:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
print(f"score = {RATE} points")
"""


@pytest.fixture(scope="module")
def ray() -> Iterator[Ray]:
    pytest.importorskip("ray", reason=NO_RAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_API_KEY", "sk-very-secret")
        made = Ray(workers=3, cpus=0.4)  # three start on two CPUs, not on one
        list(made.outcomes(Parabola(), [Request(None, Proposal({}), 1)]))
        yield made
        made.close()


MADE: dict[str, Callable[[], Executor]] = {
    "serial": Serial,
    "local": Local,
    "local, three": lambda: Local(3),
}


@pytest.fixture(params=[*MADE, pytest.param("ray", marks=pytest.mark.slow)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "ray":
        yield request.getfixturevalue("ray")
        return
    made = MADE[request.param]()
    yield made
    made.close()


def requests(*xs: float, seed: int = 1, **changes: object) -> list[Request]:
    return [Request(None, Proposal({"X": x, **changes}), seed) for x in xs]


class Slower(Parabola):
    """Takes the longer the smaller X is."""

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        time.sleep(0.2 if proposal.changes["X"] == 0.0 else 0.0)
        return super().evaluate(parent, proposal, seed)


class Broken(Parabola):
    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        raise TaskError("no trial can work here")


class Environment(Parabola):
    """Its outcome holds what its process and that one's parent were started with."""

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        started = [Path(f"/proc/{pid}/environ").read_text() for pid in ("self", os.getppid())]
        return replace(
            super().evaluate(parent, proposal, seed),
            notes={"environment": "\n".join([*started, str(dict(os.environ))])},
        )


class KillsItsProcess(Parabola):
    """At X = 9 always, at X = 8 the first time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.mark = folder / "killed"

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        x = proposal.changes["X"]
        if x == 9.0 or (x == 8.0 and not self.mark.exists()):
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(parent, proposal, seed)


class TestEveryExecutor:
    def test_outcomes_are_in_the_order_of_the_requests(self, executor: Executor) -> None:
        found = executor.outcomes(Slower(), requests(0.0, 1.0, 2.0, 3.0))
        assert [outcome.value for outcome in found] == [6.0, 7.0, 10.0, 15.0]

    def test_nothing_asked_is_nothing_done(self, executor: Executor) -> None:
        assert list(executor.outcomes(Parabola(), [])) == []

    def test_a_failure_is_classified_as_in_this_process(self, executor: Executor) -> None:
        asked = [*requests(1.0, MODE="crash"), *requests(2.0)]
        expected = [Parabola().evaluate(r.parent, r.proposal, r.seed) for r in asked]
        assert list(executor.outcomes(Parabola(), asked)) == expected

    def test_what_the_task_raises_is_raised_here(self, executor: Executor) -> None:
        with pytest.raises(TaskError, match="no trial can work here"):
            list(executor.outcomes(Broken(), requests(1.0, 2.0)))
        assert len(list(executor.outcomes(Parabola(), requests(1.0, 2.0)))) == 2

    def test_a_search_has_the_same_journal(self, executor: Executor, tmp_path: Path) -> None:
        def journalled(executor: Executor) -> list[Any]:
            task = command_task(tmp_path)
            changes: list[dict[str, object]] = [{"RATE": x / 10} for x in range(8)]
            with Journal(None) as journal:
                search = loop(
                    *changes,
                    task=task,
                    proposer=Listed(*changes),
                    trials=6,
                    batch=3,
                    journal=journal,
                    executor=executor,
                )
                search.run()
                task.close()
                return projection(journal.entries)  # type: ignore[no-any-return]

        assert journalled(executor) == journalled(Serial())

    def test_a_training_run_that_kills_its_server_is_a_crash(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        task: CommandTask = command_task(tmp_path, KILLS_ITS_SERVER)
        asked = [[Request(None, Proposal({"RATE": rate}), 1)] for rate in (0.75, 0.25)]
        [[killed], [fine]] = [executor.outcomes(task, one) for one in asked]
        task.close()
        assert fine.value == 0.25
        assert killed.failure is not None
        assert killed.failure.kind == FailureKind.CRASH
        assert "worker server died" in killed.failure.detail


def test_an_executor_without_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"\.venv/bin/pip install -e '\.\[ray\]'"):
        Ray(workers=1)


@pytest.mark.parametrize(("workers", "cpus", "whole"), [(5, 0.5, 3), (3, 0.3, 1), (2, 1, 2)])
def test_a_ray_of_its_own_has_cpus_for_all_workers(
    monkeypatch: pytest.MonkeyPatch, workers: int, cpus: float, whole: int
) -> None:
    class Started(Exception):
        pass

    def init(**given: object) -> None:
        raise Started(given["num_cpus"])

    fake = SimpleNamespace(init=init, __spec__=ModuleSpec("ray", None))
    monkeypatch.setitem(sys.modules, "ray", fake)
    with closing(Ray(workers, cpus=cpus)) as made, pytest.raises(Started, match=f"^{whole}$"):
        list(made.outcomes(Parabola(), requests(1.0)))


@pytest.mark.slow
class TestRay:
    def test_its_processes_hold_no_secret(self, ray: Ray) -> None:
        [outcome] = ray.outcomes(Environment(), requests(1.0))
        assert "PATH" in outcome.notes["environment"]
        assert "secret" not in outcome.notes["environment"]
        assert os.environ["SOME_API_KEY"] == "sk-very-secret"

    def test_a_worker_that_dies_is_told_and_costs_no_other_evaluation(
        self, ray: Ray, tmp_path: Path
    ) -> None:
        task = KillsItsProcess(tmp_path)
        once, always, fine = ray.outcomes(task, requests(8.0, 9.0, 1.0))
        assert (once.value, fine.value) == (70.0, 7.0)
        assert always.failure is not None
        assert always.failure.kind == FailureKind.CRASH
        assert "worker that ran it died 2 times" in always.failure.detail

    def test_a_place_without_ray_is_told(self) -> None:
        pytest.importorskip("ray", reason=NO_RAY)
        with pytest.raises(TaskError, match=r"address=127\.0\.0\.1:9: no Ray there.*refused"):
            list(Ray(1, "127.0.0.1:9").outcomes(Parabola(), requests(1.0)))

    @pytest.mark.parametrize("ending", ["close", "SIGKILL"])
    def test_nothing_is_left_of_it(self, tmp_path: Path, ending: str) -> None:
        pytest.importorskip("ray", reason=NO_RAY)
        code = (
            "import os, signal\nfrom pathlib import Path\n"
            "from bilevel.workers.ray_executor import Ray\n"
            "from bilevel.workers.executor import Request\n"
            "from bilevel.trace import Proposal; from tests.workers.test_executor import *\n"
            "from tests.processes import descendants\n"
            f"task = command_task(Path({str(tmp_path)!r})); made = Ray(2)\n"
            "asked = [Request(None, Proposal({'RATE': x}), 1) for x in (0.1, 0.2)]\n"
            "assert all(o.value is not None for o in made.outcomes(task, asked))\n"
            f"print(*filter({'bool' if ending == 'close' else 'evaluates'}, "
            "descendants(os.getpid())))\n"
        )
        code += "made.close()" if ending == "close" else "os.kill(os.getpid(), signal.SIGKILL)"
        ran = python(code)
        assert ran.returncode == (0 if ending == "close" else -signal.SIGKILL), ran.stderr
        pids = [int(pid) for pid in ran.stdout.split()]
        assert len(pids) >= 4  # two workers, a training server for each, and Ray's own, if closed
        assert all(gone(pid) for pid in pids)


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def evaluates(pid: int) -> bool:
    """Ray's own agents end only when they have waited a minute for a killed driver's Ray."""
    command = Path(f"/proc/{pid}/cmdline").read_text()
    return "_Worker" in command or "bilevel.workers.server" in command
