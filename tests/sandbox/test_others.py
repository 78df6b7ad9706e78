"""A worker reaches no other process: its search and a bystander are looked at from outside."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bilevel.sandbox import confined_process, spare
from bilevel.sandbox.confined_mechanism import confine
from bilevel.sandbox.worker_handle import CONFINING, Limits, missing
from tests.helpers import loop

ROOT = Path(__file__).parents[2]
ON_ONE = """
    "no processor time left": lambda pid: resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0)),
    "no files to write": lambda pid: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0)),
    "no descriptors left": lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)),
    "no memory left": lambda pid: resource.prlimit(pid, resource.RLIMIT_AS, (0, 0)),
    "its limits": lambda pid: resource.prlimit(pid, resource.RLIMIT_AS),
    "another processor": lambda pid: os.sched_setaffinity(pid, {0}),
    "another priority": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
    "idle": lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
    "last to be read from the disk": lambda pid: called(SYSCALL("ioprio_set"), 1, pid, 3 << 13),
    "a descriptor of it": lambda pid: called(SYSCALL("pidfd_open"), pid, 0),
    "its clock": lambda pid: called(SYSCALL("clock_gettime"), ~pid << 3 | 2, bytes(16)),
    "its group": os.getpgid,
    "its folder": lambda pid: os.readlink(f"/proc/{pid}/cwd"),
    "a signal by a descriptor": by_a_descriptor,
    "a signal": lambda pid: os.kill(pid, signal.SIGKILL),
    "a signal to a thread": lambda pid: called(SYSCALL("tgkill"), pid, pid, 9),
    "a queued signal": lambda pid: called(SYSCALL("rt_sigqueueinfo"), pid, 9, QUEUED),
"""
# where the search is an administrator's, who has given up a capability may not do these either
OF_AN_ADMINISTRATOR = {
    *("another processor", "another priority", "idle", "last to be read from the disk"),
    "its folder",
}
ON_ALL = """
    "a signal to everybody": lambda pid: os.kill(-1, 0),  # none: a hole must not end the tests
    "a signal to its own group": lambda pid: os.killpg(0, 0),
"""
IDLE = """
from bilevel.mechanism import Mechanism

class Idle(Mechanism):
    name = "idle"
    def propose(self, view):
        return ()
"""
HOSTILE = """
import ctypes, fcntl, os, resource, signal, struct
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal
libc = ctypes.CDLL(None, use_errno=True)
SYSCALL = {numbers}.get
QUEUED = struct.pack("iii", 9, 0, -1) + bytes(116)

def called(number, *arguments):
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    if libc.syscall(ctypes.c_long(number), *wide) == -1:
        raise OSError(ctypes.get_errno())

def by_a_descriptor(pid):
    # the kernel sends its owner the signal that was wished for, as soon as there is something
    reads, writes = os.pipe()
    fcntl.fcntl(reads, 10, signal.SIGKILL)
    fcntl.fcntl(reads, fcntl.F_SETOWN, pid)
    fcntl.fcntl(reads, fcntl.F_SETFL, os.O_ASYNC)

ATTACKS = {{
{attacks}
}}

def tried(attack, pid):
    try:
        attack(pid)
    except (OSError, ValueError):
        return False
    return True

class Hostile(Mechanism):
    name = "hostile"
    def propose(self, view):
        pairs = [(pid, name) for pid in {pids} for name in ATTACKS]
        return [Proposal({{"through": [p for p in pairs if tried(ATTACKS[p[1]], p[0])]}})]
"""
NUMBERS = {
    "x86_64": {
        **{"ioprio_set": 251, "pidfd_open": 434, "clock_gettime": 228},
        **{"tgkill": 234, "rt_sigqueueinfo": 129},
    },
    "aarch64": {
        **{"ioprio_set": 30, "pidfd_open": 434, "clock_gettime": 113},
        **{"tgkill": 131, "rt_sigqueueinfo": 138},
    },
}
SEARCH = """
import os, sys
from tests.sandbox.test_others import attack
print(attack(sys.argv[1], [os.getpid(), int(sys.argv[2])]), flush=True)
sys.stdin.read()
print(sum(n for n in range(10**6)), flush=True)  # it still computes, writes and ends well
"""


def attack(layer: str, pids: list[int]) -> str:
    """What got through, as (process, attack)."""
    attacks = ON_ONE + (ON_ALL if layer != "unsafe" else "")
    text = HOSTILE.format(pids=pids, attacks=attacks, numbers=NUMBERS[platform.machine()])
    with confine(text, limits=Limits(layer, call_s=20)) as hostile:
        return json.dumps(hostile.propose(loop({}).view())[0].changes["through"])


def outside(pid: int) -> tuple[str, object, int, int]:
    """What the system says of a process, for whoever may see all of it."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    affinity, nice = os.sched_getaffinity(pid), os.getpriority(os.PRIO_PROCESS, pid)
    return limits, affinity, nice, os.sched_getscheduler(pid)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def searched(layer: str, bystander: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SEARCH, layer, str(bystander)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # whoever signals a whole group
    )


def test_the_search_and_a_bystander_stay_as_they_are(
    layer: str, bystander: subprocess.Popen[bytes]
) -> None:
    before = outside(bystander.pid)
    with searched(layer, bystander.pid) as search:
        assert search.stdin is not None
        assert search.stdout is not None
        through = search.stdout.readline()
        after = outside(search.pid)
        assert bystander.poll() is None
        assert outside(bystander.pid) == before
        assert after == before
        said, errors = search.communicate(timeout=60)
    assert (search.returncode, errors) == (0, "")
    assert said.strip() == "499999500000"
    assert json.loads(through) == []


@pytest.mark.parametrize("layer", CONFINING)
def test_its_users_processes_and_networks_are_its_own(layer: str) -> None:
    if missing(layer) or (layer == "sandlock" and not confined_process.namespaces()):
        pytest.skip("no namespaces here")
    with confine(IDLE, limits=Limits(layer)) as idle:
        (*_, worker) = idle.worker.processes()
        own, ours = Path(f"/proc/{worker}/ns"), Path("/proc/self/ns")
        for kind in ("user", "pid", "net", "ipc", "mnt"):
            assert (own / kind).readlink() != (ours / kind).readlink()


def test_where_there_are_no_namespaces_nobody_is_reached_either(
    bystander: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := missing("sandlock"):
        pytest.skip(reason)
    monkeypatch.setattr(confined_process, "namespaces", lambda: False)
    spare.close()
    before = outside(bystander.pid), outside(os.getpid())
    assert json.loads(attack("sandlock", [bystander.pid, os.getpid()])) == []
    assert bystander.poll() is None
    assert (outside(bystander.pid), outside(os.getpid())) == before
    spare.close()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_keeper_that_is_told_to_end_takes_its_worker_along_and_says_so(
    layer: str, sent: signal.Signals
) -> None:
    with confine(IDLE, limits=Limits(layer)) as idle:
        worker, processes = idle.worker, idle.worker.processes()
        os.kill(worker.pid, sent)
        assert worker.close() == 128 + sent
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in processes):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_the_wall_a_bystander_is_killed(bystander: subprocess.Popen[bytes]) -> None:
    through = [name for _, name in json.loads(attack("unsafe", [bystander.pid]))]
    assert {*names()} - {*through} <= OF_AN_ADMINISTRATOR
    assert bystander.wait(20) == -signal.SIGKILL


def names() -> list[str]:
    return [line.split('"')[1] for line in ON_ONE.strip().splitlines()]
