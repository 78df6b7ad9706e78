import os
import signal
import time
from collections.abc import Iterator

import pytest

from bilevel.sandbox import spare
from bilevel.sandbox.hosted import CONFINING, Limits, missing

pytestmark = pytest.mark.skipif(
    all(missing(layer) for layer in CONFINING), reason="; ".join(map(missing, CONFINING))
)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    spare.close()
    yield
    spare.close()


def kept() -> int:
    return spare._spares[os.getpid()][1].pid


def test_the_spare_worker_is_the_next_and_never_one_that_was_used() -> None:
    with spare.take(Limits()) as first:
        ready = kept()
        with spare.take(Limits()) as second:
            assert second.pid == ready != first.pid
            assert kept() not in {first.pid, second.pid}


def test_other_limits_get_a_worker_of_their_own() -> None:
    spare.take(Limits()).close()
    unfit = spare._spares[os.getpid()][1]
    with spare.take(Limits(memory_mib=512)) as taken:
        assert taken.pid != unfit.pid
    assert not unfit.open


def test_a_spare_that_died_is_not_given_out() -> None:
    spare.take(Limits()).close()
    dead = spare._spares[os.getpid()][1]
    os.kill(dead.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while dead.alive and time.monotonic() < until:
        time.sleep(0.01)
    with spare.take(Limits()) as taken:
        assert taken.pid != dead.pid
        assert taken.alive


def test_a_fork_leaves_its_parents_spare_alone() -> None:
    spare.take(Limits()).close()
    ready = kept()
    child = os.fork()
    if not child:
        try:
            code = int(spare.take(Limits()).pid == ready)
        except BaseException:
            code = 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with spare.take(Limits()) as taken:
        assert taken.pid == ready
        assert taken.alive
