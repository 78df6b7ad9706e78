"""Every way in which a training run has gone wrong, caused for real: what the user reads about it,
that nothing is left running, and that the next trial works."""

import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from bilevel.tasks.command import CommandTask
from bilevel.trace import FailureKind, Proposal

LIMIT_S = 3.0
SCRIPT = """\
import ctypes, os, signal, subprocess, sys, time
MODE = "fine"
if MODE == "fine":
    print("loss: 1.0")
    sys.exit()
print("training")
open(sys.argv[1], "w").close()
"""
STAYS = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(999)', sys.argv[1]]"


@dataclass(frozen=True)
class Fault:
    """`cause` is run in the trial; `told` is what the user reads, and empty where the trial has
    its value nevertheless. `kept`: the number is among the metrics of the failed trial. `killed`:
    another process kills it as soon as it is seen."""

    name: str
    cause: str
    kind: FailureKind | None
    told: str = ""
    kept: bool = False
    killed: bool = False


LIMIT = "not done after 3 s and stopped"
FAULTS = (
    Fault("hang", "time.sleep(999)", FailureKind.TIMEOUT, LIMIT),
    Fault(
        "hang after the summary",
        "print('loss: 1.0'); time.sleep(999)",
        FailureKind.TIMEOUT,
        LIMIT,
        kept=True,
    ),
    Fault(
        "SIGTERM, SIGINT and SIGHUP ignored",
        "for name in (15, 2, 1): signal.signal(name, signal.SIG_IGN)\ntime.sleep(999)",
        FailureKind.TIMEOUT,
        LIMIT,
    ),
    Fault(
        "exit 0 without a metric",
        "sys.exit(0)",
        FailureKind.NO_METRIC,
        "no lines 'loss: <number>', expected one; the last line is: training",
    ),
    Fault("metric is NaN", "print('loss: nan')", FailureKind.DIVERGENCE, "loss is nan"),
    Fault(
        "two metric lines",
        "print('loss: 1.0'); print('x' * 2**20); print('loss: 2.0')",
        FailureKind.NO_METRIC,
        "2 lines 'loss: <number>', expected one; the last line is: loss: 2.0",
    ),
    Fault(
        "flooded output",
        "print('loss: 1.0')\nwhile True: print('x' * 2**16)",
        FailureKind.CRASH,
        "stopped after printing more than 16 MiB: print less",
    ),
    Fault("a child stays", f"{STAYS}); print('loss: 1.0')", None),
    Fault(
        "a child stays in a session of its own",
        f"{STAYS}, start_new_session=True); print('loss: 1.0')",
        None,
    ),
    Fault(
        "children stay while it hangs",
        f"{STAYS}, start_new_session=True); {STAYS}); time.sleep(999)",
        FailureKind.TIMEOUT,
        LIMIT,
    ),
    Fault(
        "SIGKILL from outside, as by the kernel",
        "time.sleep(999)",
        FailureKind.OUT_OF_MEMORY,
        "killed, probably by the kernel",
        killed=True,
    ),
    Fault("no memory", "bytearray(2**60)", FailureKind.OUT_OF_MEMORY, "MemoryError"),
    Fault(
        "an exception",
        "raise ValueError('shapes do not fit')",
        FailureKind.CRASH,
        "exit code 1: ValueError: shapes do not fit",
    ),
    Fault(
        "exit 1 after the summary",
        "print('loss: 1.0'); sys.exit(1)",
        FailureKind.CRASH,
        "exit code 1: loss: 1.0",
        kept=True,
    ),
    Fault(
        "segmentation fault",
        "ctypes.string_at(0)",
        FailureKind.CRASH,
        "killed by signal 11: training",
    ),
    Fault(
        "the worker server is killed",
        f"{STAYS}); os.kill(os.getppid(), signal.SIGKILL); time.sleep(999)",
        FailureKind.CRASH,
        "exit code 1: the worker server died while this job was running",
    ),
)


@pytest.fixture
def marker(tmp_path: Path) -> str:
    """Stands in the command line of every process of a test's trials; a file once it trains."""
    return str(tmp_path / f"marker-{uuid.uuid4().hex}")


@pytest.fixture
def task(request: pytest.FixtureRequest, tmp_path: Path, marker: str) -> Iterator[CommandTask]:
    fault: Fault = request.param
    (tmp_path / "fit.py").write_text(SCRIPT + fault.cause + "\n")
    made = CommandTask(
        name="faulty",
        file=str(tmp_path / "fit.py"),
        command=[sys.executable, "{script}", marker],
        metric="loss",
        parameters={"MODE": {"type": "choice", "choices": ["fine", "fault"]}},
        limit_s=LIMIT_S,
    )
    yield made
    made.close()


def running(marker: str) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if marker in line and sys.executable in line:
            found.append(int(place.parent.name))
    return found


def kill_when_seen(marker: str) -> None:
    deadline = time.monotonic() + 20
    while not Path(marker).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in running(marker):
        os.kill(pid, signal.SIGKILL)


def nothing_left(marker: str) -> bool:
    deadline = time.monotonic() + 10
    while running(marker) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(marker)


@pytest.mark.parametrize(
    ("task", "fault"), [(f, f) for f in FAULTS], ids=[f.name for f in FAULTS], indirect=["task"]
)
def test_a_fault_is_told_and_leaves_nothing_behind(
    task: CommandTask, fault: Fault, marker: str
) -> None:
    with ThreadPoolExecutor(1) as outside:
        if fault.killed:
            outside.submit(kill_when_seen, marker)
        outcome = task.evaluate(None, Proposal({"MODE": "fault"}), seed=1)
    if outcome.failure is None:
        assert (fault.kind, fault.told, outcome.value) == (None, "", 1.0)
    else:
        assert outcome.failure.kind == fault.kind
        assert re.sub(r"at \d+ MiB", "at N MiB", outcome.failure.detail) == fault.told
        assert outcome.notes["output.txt"]
    assert (outcome.metrics.get("loss") == 1.0) is fault.kept
    assert nothing_left(marker)
    assert task.evaluate(None, Proposal({}), seed=1).value == 1.0
