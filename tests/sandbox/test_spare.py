import os
import signal
import time
from collections.abc import Iterator

import pytest

from bilevel.sandbox import spare
from bilevel.sandbox.worker_handle import CONFINING, Limits, WorkerHandle, missing

pytestmark = pytest.mark.skipif(
    all(missing(layer) for layer in CONFINING), reason="; ".join(map(missing, CONFINING))
)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    spare.close()
    yield
    spare.close()


LOAD = {
    "source": "from bilevel.mechanism import Mechanism\nclass Mine(Mechanism):\n    name = 'mine'",
    **{"arguments": {}, "state": "{}", "chance": ""},
}


def taken(limits: Limits | None = None) -> WorkerHandle:
    """One that has answered, so that the next one is started."""
    hosted = spare.take(limits or Limits())
    hosted.call(LOAD, limit_s=20)
    return hosted


def kept() -> int:
    return spare._spares[os.getpid()][1].pid


def test_the_spare_worker_is_the_next_and_never_one_that_was_used() -> None:
    with taken() as first:
        ready = kept()
        with taken() as second:
            assert second.pid == ready != first.pid
            assert kept() not in {first.pid, second.pid}


def test_none_is_started_while_somebody_waits_for_the_one_before() -> None:
    with spare.take(Limits()) as first:
        assert not spare._spares
        first.call(LOAD, limit_s=20)
        assert kept() != first.pid
        with spare.take(Limits()) as second:
            assert not spare._spares
            first.call(LOAD, limit_s=20)  # it has answered before
            assert not spare._spares
            second.call(LOAD, limit_s=20)
            assert kept() not in {first.pid, second.pid}


def test_other_limits_get_a_worker_of_their_own() -> None:
    taken().close()
    unfit = spare._spares[os.getpid()][1]
    with spare.take(Limits(memory_mib=512)) as other:
        assert other.pid != unfit.pid
    assert not unfit.open


def test_a_spare_that_died_is_not_given_out() -> None:
    taken().close()
    dead = spare._spares[os.getpid()][1]
    os.kill(dead.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while dead.alive and time.monotonic() < until:
        time.sleep(0.01)
    with spare.take(Limits()) as other:
        assert other.pid != dead.pid
        assert other.alive


def test_a_fork_leaves_its_parents_spare_alone() -> None:
    taken().close()
    ready = kept()
    child = os.fork()
    if not child:
        try:
            code = int(spare.take(Limits()).pid == ready)
        except BaseException:
            code = 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with spare.take(Limits()) as other:
        assert other.pid == ready
        assert other.alive
