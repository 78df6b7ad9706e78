"""Workers that hang, die, fill memory or lie are killed, counted, and go on where they were."""

import time
from pathlib import Path
from typing import Any

import pytest

from bilevel.errors import BilevelError, ConfigError
from bilevel.loop.activations import Effect
from bilevel.sandbox import processor, spare, worker_handle
from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.failures import (
    BadFrame,
    MechanismRaised,
    MemoryLimit,
    SandboxError,
    SandboxUnavailable,
    TimeLimit,
    WorkerDied,
)
from bilevel.sandbox.worker_handle import Limits
from tests.helpers import loop

# the channel is found as hostile code would find it, through the garbage collector
CODE = """
import ctypes, gc, json, os, signal, struct, sys, threading, time
from random import Random
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal

def channel():
    return [o for o in gc.get_objects() if type(o).__name__ == "Channel"][0]

def worker():
    return [o for o in gc.get_objects() if type(o).__name__ == "_Worker"][0]

def raw(body, size=None):
    data = struct.pack(">I", len(body) if size is None else size) + body
    while data:
        data = data[os.write(channel()._writes, data):]
    time.sleep(60)

class Mine(Mechanism):
    name = "mine"
    def __init__(self):
        self.calls = 0
        self.moves = {{("X", "up"): 3}}
        self.rng = Random(7)
        self.unsaid = threading.Lock()

    def parent(self, view):
        self.calls += 1
        return self.rng.randrange(1000000) if self.calls > 1000 else self.calls

    def propose(self, view):
        {body}
        return ()
"""


def mine(body: str, layer: str = "confined", **limits: Any) -> ConfinedMechanism:
    limits = {"call_s": 1.0, "memory_mib": 600, **limits}
    return confine(CODE.format(body=body), limits=Limits(layer, **limits))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of these wait and use no processor; nobody wants to wait that long for them here."""
    monkeypatch.setattr(processor, "PATIENCE", 3)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


HOSTILE: dict[str, tuple[str, type[SandboxError]]] = {
    "an endless loop": ("while True: pass", TimeLimit),
    "a loop that catches everything": (
        "\n        while True:\n            try: time.sleep(1)\n"
        "            except BaseException: pass",
        TimeLimit,
    ),
    "a deaf loop": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        while True: pass",
        TimeLimit,
    ),
    "alarms of its own": ("signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)", MechanismRaised),
    "a stop": ("os.kill(os.getpid(), signal.SIGSTOP)", MechanismRaised),
    "a memory bomb": ("held = [bytearray(1 << 26) for _ in range(1000)]", MemoryLimit),
    "a hidden file": (
        "\n        try: fd = os.memfd_create('x')\n"
        "        except OSError: raise MemoryError\n"
        "        while os.write(fd, b'x' * (1 << 20)) : pass",
        SandboxError,
    ),
    "output without end": ("\n        while True: os.write(2, b'x' * 65536)", TimeLimit),
    "os._exit": ("os._exit(0)", WorkerDied),
    "a crash": ("ctypes.string_at(0)", WorkerDied),
    "a huge answer": ("return [Proposal({'x': 'y' * (9 << 20)})]", SandboxError),
    "a huge head": ("raw(b'', 1 << 31)", BadFrame),
    "half a frame": ("raw(b'{', 100)", TimeLimit),
    "a deep frame": ("raw(b'[' * 100000 + b']' * 100000)", BadFrame),
    "a deeper frame than fits": ("raw(b'[' * 60 + b']' * 60)", BadFrame),
    "no JSON": ("raw(b'cos\\\\nsystem\\\\n')", BadFrame),
    "no text": ("raw(bytes([255, 254]))", BadFrame),
    "NaN": ("raw(b'{\"answer\": NaN}')", BadFrame),
    "Infinity": ("raw(b'{\"answer\": -Infinity}')", BadFrame),
    "1e999": ("raw(b'{\"answer\": 1e999}')", BadFrame),
    "a million digits": ("raw(b'9' * 1000000)", BadFrame),
    "half a character": ("raw(b'\"' + bytes([92]) + b'ud800\"')", BadFrame),
    "half a character in an answer": ("return [Proposal({'x': chr(0xd800)})]", BadFrame),
    "another id": ('raw(b\'{"id": "0", "answer": [], "state": {}, "lost": []}\')', BadFrame),
    "another form": ("worker()._say('answer', answer=1, state={}, lost=[], more=2)", BadFrame),
    "a list": ("raw(b'[1, 2]')", BadFrame),
    "a question of no form": ("worker()._say('ask', depth='x')", BadFrame),
}


@pytest.mark.parametrize(("body", "failure"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_call_ends_the_worker_and_not_the_search(
    body: str, failure: type[SandboxError]
) -> None:
    ran = loop({})
    # only what is ended by the clock is given little of it: the rest must do its harm first
    with mine(body, call_s=1.0 if failure is TimeLimit else 20.0) as confined:
        assert confined.parent(ran.view()) == 1
        keeper = confined.worker.pid
        with pytest.raises(failure) as raised:
            confined.propose(ran.view())
        if not isinstance(raised.value, MechanismRaised):
            assert gone(keeper)
            assert confined.kills == {type(raised.value).__name__: 1}
        assert confined.parent(ran.view()) == 2  # with the state of the last good answer


def test_a_second_answer_ends_the_worker() -> None:
    body = "worker()._say('answer', answer=[], state={}, lost=[])"
    with mine(body) as confined:
        assert confined.propose(loop({}).view()) == []
        time.sleep(0.2)
        with pytest.raises(BadFrame, match="nobody had asked"):
            confined.propose(loop({}).view())
        assert confined.kills["BadFrame"] == 1


def test_what_is_printed_is_no_frame(layer: str) -> None:
    body = "print('x' * 100000); sys.__stdout__.write('y'); os.write(1, b'z' * 100); os.system"
    with mine(body, layer) as confined:
        assert confined.propose(loop({}).view()) == []
        assert confined.propose(loop({}).view()) == []


def test_a_forged_kind_is_never_made() -> None:
    body = "worker()._say('answer', answer=[{'!': 'Trial', 'of': []}], state={}, lost=[])"
    with mine(body) as confined, pytest.raises(TypeError, match="unknown field `!`"):
        confined.propose(loop({}).view())


@pytest.mark.parametrize("changes", ["3", "{'x': 1j}", "{1: 2}"])
def test_a_proposal_of_the_wrong_form_is_refused(changes: str) -> None:
    with (
        mine(f"return [Proposal({changes})]") as confined,
        pytest.raises((MechanismRaised, TypeError, ValueError)),
    ):
        confined.propose(loop({}).view())


def test_the_state_survives_and_what_cannot_be_written_is_named() -> None:
    body = "self.calls = 1000 if self.calls < 1000 else self.calls; os._exit(1) if 0 else None"
    with mine(body) as confined, mine(body) as undisturbed:
        view = loop({}).view()
        for one in (confined, undisturbed):
            one.propose(view)
            one.parent(view)
        confined.worker.close()
        assert confined.lost == ("unsaid",)
        assert confined.parent(view) == undisturbed.parent(view)  # tuples and generators as well


def test_threads_without_end_stay_inside() -> None:
    body = "\n        while True: threading.Thread(target=time.sleep, args=(60,)).start()"
    with mine(body, call_s=3.0) as confined:
        keeper = confined.worker.pid
        with pytest.raises(BilevelError):
            confined.propose(loop({}).view())
        confined.close()
        assert gone(keeper)


def test_a_search_goes_on_and_detaches_who_fails_three_times() -> None:
    with mine("os._exit(3)") as confined:
        changes: list[dict[str, object]] = [{"X": 1.0}, {"X": 0.5}]
        ran = loop(*changes * 3, mechanisms=[confined])
        ran.run()
        assert len(ran.trace) == 7
        errors = [r for r in ran.pipeline.ledger.rows() if r.effect is Effect.ERROR]
        assert len(errors) >= 3
        assert confined.kills["WorkerDied"] == len([r for r in errors if r.hook == "propose"]) > 1
        assert ran.pipeline.attached == ()


def test_the_environment_of_keeper_and_worker_holds_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    spare.close()  # it was started before there was a key
    with mine("return [Proposal({'environment': dict(os.environ)})]") as confined:
        inside = confined.propose(loop({}).view())[0].changes["environment"]
        keeper = Path(f"/proc/{confined.worker.pid}/environ").read_text()
    assert "sk-secret" not in keeper
    assert "sk-secret" not in str(inside)
    assert inside == {**inside, "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}  # type: ignore[dict-item]


def test_a_worker_goes_with_the_search(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import os, sys; from tests.sandbox.test_hostile import mine; "
        "m = mine(''); print(m.worker.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    keeper = int(ran.stdout)
    until = time.monotonic() + 20
    while not gone(keeper) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(keeper)


def test_without_a_layer_it_refuses_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handle, "missing", lambda layer: f"{layer} is not here")
    with pytest.raises(SandboxUnavailable, match="sandbox=unsafe") as refused:
        confine(CODE.format(body="pass"))
    assert refused.value.exit_code == 2
    with pytest.raises(ConfigError, match="valid: confined, sandlock, bwrap, unsafe"):
        Limits("docker")


def test_nothing_is_left_open() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    mine("pass").close()
    before = descriptors()
    with mine("os._exit(0)") as confined:
        for _ in range(2):
            with pytest.raises(WorkerDied):
                confined.propose(loop({}).view())
    assert descriptors() == before
