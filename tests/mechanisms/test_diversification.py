"""Diversification waits for a plateau and then goes far, where nothing went."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.diversification import Diversification
from bilevel.mechanisms.shared.trials import tried_moves
from tests.mechanisms.support import EVERY_KIND, own, search, trial, view

BASELINE = trial(EVERY_KIND, 0, {}, 1.0, kept=True)
DISCARDED = [trial(EVERY_KIND, n, {"RATE": 0.1 + n / 100}, 1.0 + n) for n in range(1, 10)]


def test_it_acts_when_patience_runs_out_and_not_before() -> None:
    acts = [
        n
        for n in range(10)
        if Diversification(patience=3).propose(view([BASELINE, *DISCARDED[:n]]))
    ]
    assert acts == [3, 6, 9]


def test_it_goes_where_nothing_went() -> None:
    for seed in range(20):
        at = view([BASELINE, *DISCARDED[:3]], seed=seed)
        (proposal,) = Diversification(patience=3).propose(at)
        after = {**at.base, **at.space.check(proposal.changes)}
        assert not EVERY_KIND.moves(at.base, after) & tried_moves(at)


def test_every_second_time_it_starts_from_another_of_the_best() -> None:
    mechanism = Diversification(patience=3, pool=4)
    at = [view([BASELINE, *DISCARDED[:n]]) for n in (2, 3, 6)]
    assert [mechanism.parent(v) for v in at] == [None, None, 1]


def test_it_is_live_on_a_plateau() -> None:
    ran = search(Diversification(), task="plateau", trials=30)
    assert own(ran, "diversification")
    assert ran.pipeline.liveness("diversification", trial=31) is Liveness.LIVE
