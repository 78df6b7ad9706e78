"""The surrogate expects improvement where the measurements point to it."""

from math import log10

from bilevel.loop.activations import Liveness
from bilevel.mechanisms.gaussian_process import GaussianProcess
from bilevel.mechanisms.shared.surrogate import GaussianProcessModel
from bilevel.trace import Proposal
from tests.mechanisms.support import EVERY_KIND, own, search, trial, view

RATES = (0.002, 0.005, 0.02, 0.3, 0.6, 0.9)


def value(rate: float) -> float:
    """A bowl with its minimum at 0.07."""
    return (log10(rate) - log10(0.07)) ** 2


BOWL = [
    trial(EVERY_KIND, 0, {}, value(0.1), kept=True),
    *(trial(EVERY_KIND, n, {"RATE": r}, value(r)) for n, r in enumerate(RATES, start=1)),
]


def test_improvement_is_expected_at_the_minimum_of_a_bowl() -> None:
    surrogate = GaussianProcessModel(
        EVERY_KIND.active, [t.config for t in BOWL], [t.value or 0.0 for t in BOWL]
    )
    rates = (0.001, 0.07, 1.0)
    gains = surrogate.improvement([{**EVERY_KIND.baseline, "RATE": rate} for rate in rates])
    assert min(gains) >= 0
    assert max(gains) == gains[1]


def test_candidates_are_ordered_and_what_cannot_run_is_last() -> None:
    poor, good, wrong = Proposal({"RATE": 0.9}), Proposal({"RATE": 0.06}), Proposal({"RATE": 7})
    reviewed = GaussianProcess(every=1).review(view(BOWL), [wrong, poor, good])
    assert list(reviewed) == [good, poor, wrong]


def test_the_other_way_round_where_more_is_better() -> None:
    turned = [
        trial(EVERY_KIND, t.number, t.proposal.changes, -(t.value or 0.0), kept=t.kept)
        for t in BOWL
    ]
    poor, good = Proposal({"RATE": 0.9}), Proposal({"RATE": 0.06})
    at = view(turned, direction="maximize")
    assert list(GaussianProcess(every=1).review(at, [poor, good])) == [good, poor]


def test_where_it_crashed_no_improvement_is_expected() -> None:
    crashes = [trial(EVERY_KIND, 7 + n, {"LAYERS": 1 + n}, None) for n in range(3)]
    near, far = Proposal({"LAYERS": 1, "SHARE": 0.01}), Proposal({"LAYERS": 5, "SHARE": 0.01})
    mechanism = GaussianProcess(every=1)
    assert list(mechanism.review(view([*BOWL, *crashes]), [near, far])) == [far, near]


def test_it_waits_until_there_is_something_to_fit() -> None:
    assert GaussianProcess(every=1, least=8).propose(view(BOWL)) == ()
    assert GaussianProcess(every=2).propose(view(BOWL)) == ()  # trial 7
    assert len(GaussianProcess(every=1).propose(view(BOWL))) == 1


def test_it_is_live_where_parameters_interact() -> None:
    ran = search(GaussianProcess(), task="interaction", trials=16)
    mine = own(ran, "gaussian_process")
    assert mine
    assert all(t.number % 2 == 0 and t.duplicate_of is None for t in mine)
    assert ran.pipeline.liveness("gaussian_process", trial=17) is Liveness.LIVE
