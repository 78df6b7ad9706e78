"""A worker rests while nobody asks: who computes between calls is told by name and ended."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.failures import MechanismRaised, Restless
from bilevel.sandbox.processor import REST_S, clocks, spent_s
from bilevel.sandbox.worker_handle import Limits
from bilevel.view import Answer, View
from tests.helpers import loop

CODE = """
import gc, signal, threading, time
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal

def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass

def after_the_answer():
    # no thread: the loop itself, before it waits for the next call
    channel = [o for o in gc.get_objects() if type(o).__name__ == "Channel"][0]
    real = channel.receive
    channel.receive = lambda: (burn({seconds}), real())[1]

def in_a_thread():
    threading.Thread(target=burn, args=({seconds},), daemon=True).start()

def in_a_handler():
    signal.signal(signal.SIGALRM, lambda *_: burn(0.001))
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)

class Mine(Mechanism):
    name = "mine"
    def propose(self, view):
        {body}
        return ()
"""


def mine(layer: str, body: str, seconds: float = 0.3) -> ConfinedMechanism:
    text = CODE.format(body=body, seconds=seconds)
    return confine(text, limits=Limits(layer, call_s=20))


def told_at_the_next_call(confined: ConfinedMechanism, view: View) -> None:
    keeper, worker = confined.worker.pid, clocks(confined.worker.processes())
    before = spent_s(worker)
    time.sleep(1)
    assert spent_s(worker) - before > REST_S  # as the kernel has it
    with pytest.raises(Restless, match="nobody had asked it"):
        confined.propose(view)
    assert not Path(f"/proc/{keeper}").exists()
    assert confined.kills == {"Restless": 1}


def test_who_computes_after_the_answer_is_ended(layer: str) -> None:
    with mine(layer, "after_the_answer()") as confined:
        assert confined.propose(loop({}).view()) == []
        told_at_the_next_call(confined, loop({}).view())


@pytest.mark.parametrize("how", ["in_a_thread()", "in_a_handler()"])
def test_where_there_is_no_wall_threads_and_handlers_are_seen(how: str) -> None:
    with mine("unsafe", how) as confined:
        assert confined.propose(loop({}).view()) == []
        told_at_the_next_call(confined, loop({}).view())


@pytest.mark.parametrize("how", ["in_a_thread()", "in_a_handler()"])
def test_behind_a_wall_there_are_no_threads_and_no_timers(layer: str, how: str) -> None:
    with mine(layer, how) as confined:
        with pytest.raises(MechanismRaised, match=r"can't start new thread|not permitted"):
            confined.propose(loop({}).view())
        assert confined.worker.alive


def test_who_computes_while_the_model_is_asked_is_ended() -> None:
    def asker(level: float, trial: int, purpose: str) -> Any:
        def ask(*_: Any, **__: Any) -> Answer:
            time.sleep(0.5)
            return Answer("yes")

        return ask

    view = replace(loop({}).view(), asker=asker)
    with mine("unsafe", 'in_a_thread(); view.ask("?", {})') as confined:
        with pytest.raises(Restless):
            confined.propose(view)
        assert confined.kills == {"Restless": 1}
    with mine("unsafe", 'view.ask("?", {})') as confined:
        assert confined.propose(view) == []


def test_to_rest_is_what_others_do(layer: str) -> None:
    many = "self.many = [[n] for n in range(200_000)]; self.many[0].append(self.many)"
    with mine(layer, many) as confined:  # much to let go of when it has answered
        for _ in range(5):
            assert confined.propose(loop({}).view()) == []
            time.sleep(0.05)
        assert not confined.kills
