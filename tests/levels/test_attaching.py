"""What is attached for an admitted mechanism: itself, by a coin, something else, or nothing."""

import pytest

from bilevel.invention import Invention
from bilevel.levels.attaching import Attaching
from bilevel.levels.segment import Segment
from bilevel.loop.acceptance import Always, Gain
from bilevel.loop.loop import Loop
from bilevel.sandbox.worker_handle import Limits
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View
from tests.helpers import invention, loop

UNSAFE = Limits("unsafe")
PLACEBO = {"_target_": "bilevel.mechanisms.placebo.Placebo"}
DOWN: list[dict[str, object]] = [{"X": 5.0 - n / 8} for n in range(1, 33)]
SOURCE = """
from bilevel.mechanism import Mechanism


class Noting(Mechanism):
    name = "{name}"

    def brief(self, view, brief):
        return brief.add("noted")
"""


def made(name: str = "noting", admitted: bool = True) -> Invention:
    source = SOURCE.format(name=name)
    return invention(name, source, carrier="prompt", hooks=("brief",), admitted=admitted)


class Inventing:
    """Proposes these mechanisms, in order."""

    settings = NO_SETTINGS

    def __init__(self, *mechanisms: Invention | None) -> None:
        self._left = iter(mechanisms)

    def propose(self, view: View, brief: Brief) -> list[Proposal]:
        return [Proposal({}, origin="inventor", mechanism=next(self._left))]


def searched(
    attached: Attaching, *mechanisms: Invention | None, gain: bool = False, seed: int = 0
) -> tuple[Loop, Loop]:
    """Segments of ten trials, after the first each with the next mechanism."""
    inner = loop(*DOWN, trials=10 * (1 + len(mechanisms)), seed=seed)
    outer = Loop(
        task=Segment(inner, 10, attached),
        proposer=Inventing(*mechanisms),
        acceptance=Gain() if gain else Always(),
        level=2,
        seed=seed,
    )
    outer.run()
    inner.pipeline.close()
    return inner, outer


def tosses(inner: Loop, name: str = "noting") -> list[str]:
    return [row.did for row in inner.pipeline.ledger.rows(name) if row.hook == "coin"]


def test_what_was_admitted_is_attached_and_what_was_not_is_not() -> None:
    inner, outer = searched(Attaching(UNSAFE), made(), None, made("refused", admitted=False))
    [noting] = inner.pipeline.known
    assert (noting.name, noting.carrier, noting.source()) == (
        "noting", "prompt", SOURCE.format(name="noting"),
    )  # fmt: skip
    assert inner.pipeline._attachments.since("noting") == 11
    assert inner.pipeline.ledger.counts("noting") == {"brief.prompt": 30}
    assert "nothing to compare" in outer.trace[1].outcome.notes["judgement"]
    assert outer.trace[1].outcome.metrics["on_trials"] == 10.0
    for trial in (outer.trace[0], *outer.trace[2:]):
        assert not trial.outcome.notes
        assert "on_trials" not in trial.outcome.metrics


def test_on_probation_a_coin_decides_and_gain_keeps_or_detaches() -> None:
    """A mechanism without effect earns more or less by chance: both happen over seeds."""
    kept = set()
    for seed in range(6):
        inner, outer = searched(Attaching(UNSAFE, coin=True), made(), None, gain=True, seed=seed)
        flips = tosses(inner)
        assert len(flips) == 10  # on probation, and not after it
        ons = flips.count("on")
        assert inner.pipeline.ledger.counts("noting")["brief.prompt"] == ons + 10 * bool(
            inner.pipeline.attached
        )
        judged = outer.trace[1].outcome
        assert (judged.metrics["on_trials"], judged.metrics["off_trials"]) == (ons, 10 - ons)
        assert bool(inner.pipeline.attached) == outer.trace[1].kept
        assert outer.trace[1].kept == (judged.metrics["mechanism_gain"] > 0)
        kept.add(outer.trace[1].kept)
    assert kept == {True, False}
    assert tosses(searched(Attaching(UNSAFE, coin=True), made(), seed=seed)[0]) == flips


def test_the_coin_is_fair_and_of_its_own_for_every_mechanism_and_seed() -> None:
    flips = {}
    for seed in range(40):
        inner = loop(*DOWN, seed=seed)
        attached = Attaching(UNSAFE, coin=True)
        for name in ("one", "two"):
            attached.attach(inner, made(name))
            coin = inner.pipeline._attachments._coins[name]
            flips[seed, name] = [coin(trial) for trial in range(50)]
    every = [flip for row in flips.values() for flip in row]
    assert sum(every) / len(every) == pytest.approx(0.5, abs=0.03)  # four sd of 4000 flips
    assert len({tuple(row) for row in flips.values()}) == len(flips)


def test_a_placebo_in_the_place_of_every_mechanism_that_was_admitted() -> None:
    sham = Attaching(UNSAFE, instead=PLACEBO)
    inner, _ = searched(sham, made("one"), made("no", admitted=False), made("two"))
    assert [m.name for m in inner.pipeline.known] == ["placebo_for_one", "placebo_for_two"]
    assert [one.since for one in inner.view().mechanisms()] == [11, 31]
    assert {one.state for one in inner.view().mechanisms()} == {"dead"}
    plain = loop(*DOWN, trials=40)
    plain.run()
    assert [t.value for t in inner.trace] == [t.value for t in plain.trace]


def test_in_its_place_nothing_or_another_is_attached_without_a_worker() -> None:
    inner, outer = searched(Attaching(Limits(), instead="nothing"), made())
    assert not inner.view().mechanisms()
    assert not outer.trace[1].outcome.notes
    Attaching(Limits(), instead=PLACEBO).attach(inner, made())
    assert {one.name for one in inner.view().mechanisms()} == {"placebo_for_noting"}
