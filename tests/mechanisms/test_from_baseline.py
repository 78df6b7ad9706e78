"""From the baseline: nothing is built on, and the best is still found."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.from_baseline import FromBaseline
from tests.helpers import loop


def test_every_proposal_changes_the_baseline_and_the_best_stands() -> None:
    ran = loop({"BATCH": 32}, {"X": 1.0}, {"X": 2.0}, mechanisms=[FromBaseline()])
    ran.run()
    assert [trial.parent for trial in ran.trace] == [None, 0, 0, 0]
    assert ran.trace[2].config == {"X": 1.0, "BATCH": 64, "MODE": "plain"}
    assert ran.best is ran.incumbent is ran.trace[2]
    assert ran.pipeline.liveness("from_baseline", trial=4) is Liveness.LIVE
