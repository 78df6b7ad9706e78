"""Does a suite tell a good mechanism from an idle or a harmful one, how often is it wrong, and how
long does it take? The mechanisms are planted; searches below draw at random, without a model."""

import inspect
import time
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import ClassVar

from joblib import Parallel, delayed
from scipy import stats

from bilevel.admission import admit
from bilevel.discovery.cells import Cell, paired
from bilevel.discovery.contestant import Attached, Contestant, half_searched
from bilevel.discovery.measuring import Measuring
from bilevel.discovery.members import TRAINING, Member, members
from bilevel.mechanism import Mechanism
from bilevel.mechanisms import separable_bowl
from bilevel.randomness import digest
from bilevel.sandbox.worker_handle import Limits
from bilevel.trace import Proposal
from bilevel.view import View
from tests.discovery.mechanisms import GOOD, HARMFUL, IDLE

Row = tuple[str, float, str, str | None]
ORDERED, TOSSED = (12, 2, 24), (8, 2, 12)  # small suites: tasks, seeds, trials
SUITES = 6
IDLE_ONES, FAMILY = 600, 20  # candidates, and how many a search tries
ALPHA, ALPHA_OF_A_SEARCH = 0.05, 0.1


class Idle(Mechanism):
    """Draws all parameters at random every other round, as the search below does, with draws of its
    own: it acts, to no benefit."""

    name: ClassVar[str] = "idle"

    def __init__(self, number: int) -> None:
        self._number = number

    def propose(self, view: View) -> list[Proposal]:
        rng = Random(digest(self._number, view.seed, view.trial))
        return [Proposal({p.name: p.sample(rng) for p in view.space.active}, "drawn")]


def measure() -> Iterator[Row]:
    yield from orders()
    yield from errors()
    yield from speed()


def orders() -> Iterator[Row]:
    """Of six small suites: how often the good one comes first and the harmful one last."""
    right = 0
    for seed in range(SUITES):
        cells = {name: _cells(text, seed) for name, text in _PLANTED.items()}
        gains = {name: paired(found, cells[""]).mean for name, found in cells.items() if name}
        right += gains["good"] > gains["idle"] > gains["harmful"]
    yield (
        f"suites that order good, idle and harmful rightly, of {SUITES}",
        right,
        "",
        f">= {SUITES}",
    )


def errors() -> Iterator[Row]:
    """How often an idle mechanism is taken for a good one, alone and by a search of twenty."""
    numbers = range(IDLE_ONES)
    found = Parallel(2)(delayed(_idle_p)(number, number // FAMILY) for number in numbers)
    accepted = sum(p <= ALPHA for p in found)
    upper = float(stats.beta.ppf(0.95, accepted + 1, IDLE_ONES - accepted))
    yield f"idle ones accepted at {ALPHA}, of {IDLE_ONES}", accepted, "", None
    yield "  upper 95 % bound of that rate", upper, "", "<= 0.08"
    searches = [found[start : start + FAMILY] for start in range(0, IDLE_ONES, FAMILY)]
    each = ALPHA_OF_A_SEARCH / FAMILY
    for name, level in (("each at 0.05", ALPHA), ("as acceptance=paired does", each)):
        wrong = sum(min(ps) <= level for ps in searches)
        yield (
            f"searches of {FAMILY} idle ones that keep one, {name}",
            wrong / len(searches),
            "",
            ("<= 0.2" if level == each else None),
        )


def speed() -> Iterator[Row]:
    """A whole evaluation, in the sandbox, two searches at a time."""
    suite = members("landscapes")[TRAINING]
    how = Measuring(Contestant.named("random", "none", 30), Limits(), 60.0, 2)
    attached = _attached(GOOD)
    places = [(member, repeat) for repeat in range(10) for member in suite]
    how.cells(places[:4], 1, attached)  # processes are started
    began = time.perf_counter()
    found = how.cells(places, 1, attached)
    seconds = time.perf_counter() - began
    yield "evaluation of 20 tasks x 10 seeds x 30 trials", seconds, "s", "<= 60"
    hooks = sum(cost["hook_s"] for _, cost in found)
    yield "  of it hook calls, of both processes", hooks, "s", None


_GOOD = inspect.getsource(separable_bowl)
_PLANTED = {"": "", "good": _GOOD, "idle": IDLE, "harmful": HARMFUL}


@cache
def _small(tasks: int) -> tuple[Member, ...]:
    return tuple(members("landscapes")[TRAINING][:tasks])


@cache
def _arm(trials: int) -> Contestant:
    return Contestant.named("random", "none", trials)


def _cells(text: str, seed: int) -> list[Cell]:
    tasks, repeats, trials = ORDERED
    how = Measuring(_arm(trials), Limits(), 60.0, 2)
    places = [(member, repeat) for repeat in range(repeats) for member in _small(tasks)]
    attached = _attached(text) if text else None
    return [cell for cell, _ in how.cells(places, seed, attached)]


@cache
def _attached(text: str) -> Attached:
    return Attached.admitted(text, admit(text, half_searched(_small(1)[0].task(), 30), Limits()))


def _idle_p(number: int, seed: int) -> float:
    """The p of one idle mechanism against none, on the cells of one search."""
    tasks, repeats, trials = TOSSED
    arm = _arm(trials)
    cells: list[Cell] = []
    without: list[Cell] = []
    for member in _small(tasks):
        for repeat in range(repeats):
            own = digest(seed, member.name, repeat) % 2**30
            for into, mechanism in ((cells, Idle(number)), (without, None)):
                best = arm.searched(member.task(), own, mechanism).loop.best
                assert best is not None
                into.append(Cell(member.name, repeat, member.gain(best.config, own)))
    return paired(cells, without).p_ahead
