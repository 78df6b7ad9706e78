"""Crossover tries a part of one good trial in another."""

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.crossover import Crossover
from tests.mechanisms.support import EVERY_KIND, own, search, trial, view

TRIALS = [
    trial(EVERY_KIND, 0, {}, 1.0, kept=True),
    trial(EVERY_KIND, 1, {"RATE": 0.2, "BATCH": 32}, 0.8, kept=True),
    trial(EVERY_KIND, 2, {"SHARE": 0.1, "LAYERS": 3}, 0.81),
    trial(EVERY_KIND, 3, {"RATE": 0.9}, None),
]


def test_a_child_has_every_value_from_one_of_two_trials_and_is_new() -> None:
    for seed in range(30):
        at = view(TRIALS, seed=seed)
        mechanism = Crossover(every=4, pool=2)
        number = mechanism.parent(at)
        assert number == 1
        (proposal,) = mechanism.propose(at)
        child = {**at.base, **proposal.changes}
        assert all(child[n] in (TRIALS[1].config[n], TRIALS[2].config[n]) for n in child)
        assert child not in [dict(t.config) for t in TRIALS]
        assert proposal.hypothesis == "crossover of trials 1 and 2"


def test_it_waits_for_its_turn_and_for_two_trials_that_can_be_mixed() -> None:
    assert Crossover(every=5).propose(view(TRIALS)) == ()
    assert Crossover(every=1).propose(view(TRIALS[:1])) == ()
    one_step = [TRIALS[0], trial(EVERY_KIND, 1, {"RATE": 0.2}, 0.8)]
    assert Crossover(every=1).parent(view(one_step)) is None


def test_it_is_live_where_effects_interact() -> None:
    ran = search(Crossover(every=4), task="interaction", trials=30)
    assert own(ran, "crossover")
    assert ran.pipeline.liveness("crossover", trial=31) is Liveness.LIVE
    counts = ran.pipeline.ledger.counts("crossover")
    caused = [trial for trial in ran.trace if "crossover" in trial.caused_by]
    assert 0 < counts["propose.decision"] <= len(caused)  # it names the parent too
