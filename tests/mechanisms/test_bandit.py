"""The bandit prefers the kinds of move that were kept."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.bandit import Bandit
from bilevel.trace import Proposal
from tests.helpers import SPACE
from tests.mechanisms.support import own, search, trial, view

WON, LOST = Proposal({"X": 2.8}), Proposal({"BATCH": 128})
HISTORY = [
    trial(SPACE, 0, {}, 9.0, kept=True),
    *(
        trial(SPACE, n, {"X": 4.0 - n / 100}, 1.0, kept=True)
        if n % 2
        else trial(SPACE, n, {"BATCH": 128}, 20.0)
        for n in range(1, 21)
    ),
]


def test_what_was_kept_goes_before_what_was_discarded() -> None:
    first = [
        Bandit(every=1).review(view(HISTORY, space=SPACE, seed=seed), [LOST, WON])[0]
        for seed in range(60)
    ]
    assert first.count(WON) >= 57


def test_without_evidence_either_may_go_first() -> None:
    first = [
        Bandit(every=1).review(view(HISTORY[:1], space=SPACE, seed=seed), [LOST, WON])[0]
        for seed in range(60)
    ]
    assert 15 <= first.count(WON) <= 45


def test_it_takes_only_its_turns_and_repeats_nothing() -> None:
    ran = search(Bandit(every=3), task="noisy", trials=30)
    mine = own(ran, "bandit")
    assert mine
    assert all(t.number % 3 == 0 and t.duplicate_of is None for t in mine)
    assert ran.pipeline.liveness("bandit", trial=31) is Liveness.LIVE
