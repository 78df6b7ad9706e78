"""The time of a call is its worker's own: neither a busy machine nor a slow host uses it up."""

import os
import subprocess
import sys
import time

import pytest

from bilevel.sandbox import processor
from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.failures import TimeLimit
from bilevel.sandbox.processor import Allowance, clocks, spent_s
from bilevel.sandbox.worker_handle import Limits
from tests.helpers import loop
from tests.same import busy

CODE = """
import time
from bilevel.mechanism import Mechanism

class Mine(Mechanism):
    name = "mine"

    def propose(self, view):
        {body}
        return ()
"""


def mine(layer: str, body: str, **limits: float) -> ConfinedMechanism:
    return confine(CODE.format(body=body), limits=Limits(layer, **limits))  # type: ignore[arg-type]


def work(seconds: float) -> str:
    return (
        f"\n        until = time.process_time() + {seconds}"
        "\n        while time.process_time() < until: pass"
    )


@pytest.mark.slow
def test_a_busy_machine_does_not_decide(layer: str) -> None:
    with mine(layer, work(0.6), call_s=1.0) as confined, busy(6 * (os.cpu_count() or 1), 60):
        started = time.monotonic()
        assert confined.propose(loop({}).view()) == []
        took = time.monotonic() - started
    assert took > 0.6  # and with six others on its processor more than the limit, mostly


def test_who_works_too_long_is_stopped_and_who_works_often_is_not(layer: str) -> None:
    with mine(layer, work(0.1), call_s=0.3) as confined:
        for _ in range(5):  # more than the limit in all
            assert confined.propose(loop({}).view()) == []
    with mine(layer, work(60), call_s=0.3) as confined, pytest.raises(TimeLimit):
        confined.propose(loop({}).view())


def test_who_only_waits_is_stopped_later(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with mine(layer, "time.sleep(0.4)", call_s=0.1) as confined:
        assert confined.propose(loop({}).view()) == []
    monkeypatch.setattr(processor, "PATIENCE", 2)
    with mine(layer, "time.sleep(60)", call_s=0.1) as confined, pytest.raises(TimeLimit):
        confined.propose(loop({}).view())


def test_a_worker_is_seen_below_its_keeper(layer: str) -> None:
    with mine(layer, work(0.2)) as confined:
        before = spent_s(clocks(confined.worker.processes()))
        confined.propose(loop({}).view())
        assert spent_s(clocks(confined.worker.processes())) - before >= 0.2


def test_a_process_that_has_ended_counts_no_more() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        found = clocks([process.pid])
        assert len(found) == 1
    assert spent_s(found) == 0.0
    assert clocks([process.pid]) == ()


def test_an_allowance_is_looked_at_when_it_may_be_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, used = [100.0], [5.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(processor, "spent_s", lambda clocks: used[0])
    allowance = Allowance(2.0, processes=tuple, before=5.0)
    assert allowance.left() == 2.0
    now[0], used[0] = 102.0, 5.5  # a quarter of the processor
    assert allowance.left() == 1.5
    allowance.pause()
    now[0] = 1000.0  # the host's own time
    allowance.resume()
    assert allowance.left() == 1.5
    now[0] = 1001.5
    assert allowance.left() == 1.5
    now[0], used[0] = 1003.0, 6.999
    assert allowance.left() == pytest.approx(processor.LOOK_S)
    now[0], used[0] = 1003.02, 7.0
    with pytest.raises(TimeLimit):
        allowance.left()


def test_an_allowance_of_who_waits_ends_by_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    allowance = Allowance(2.0, processes=tuple, before=0.0)
    now[0] = 2.0 * processor.PATIENCE - 0.5
    assert 0 < allowance.left() <= 0.5
    now[0] = 2.0 * processor.PATIENCE
    with pytest.raises(TimeLimit):
        allowance.left()
