"""The placebo is called and changes nothing."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.placebo import Placebo
from tests.mechanisms.support import search


def test_it_is_called_and_found_dead() -> None:
    placebo = Placebo()
    with_it, without = search(placebo), search()
    assert placebo.seen == 26
    assert with_it.pipeline.liveness("placebo", trial=26) is Liveness.DEAD
    assert [t.config for t in with_it.trace] == [t.config for t in without.trace]
