"""Restart hides what came before and keeps the incumbent."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.restart import Restart
from tests.helpers import Listed, loop


def test_it_hides_what_came_before_and_keeps_the_incumbent() -> None:
    changes: list[dict[str, object]] = [{"X": 5.0 - n / 10} for n in range(1, 8)]
    proposer = Listed(*changes)
    ran = loop(proposer=proposer, trials=7, mechanisms=[Restart(period=3)])
    ran.run()
    shown = [[t.number for t in brief.trials] for brief in proposer.briefs]
    assert shown == [[0], [0, 1], [0, 1, 2], [], [4], [4, 5], []]
    assert [t.parent for t in ran.trace[1:]] == [0, 1, 2, 3, 4, 5, 6]
    assert ran.pipeline.liveness("restart", trial=8) is Liveness.PROMPTED
