"""What searches whose configurations are mechanisms found: candidates, lineage, and gains by task.

The gain of a mechanism is the mean over the tasks of a suite of how far an arm goes with it
attached, from a task's baseline (0) to its best known value (1).
"""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bilevel.errors import TrackingError
from bilevel.report.reading import Search, Study, Tried

if TYPE_CHECKING:
    from bilevel.tracking.store import Store

_BY_TASK = "gain/"  # begins the metrics that hold the gain on one task
_FRESH, _HELD_OUT = "confirmed", "held_out"  # begin those of a confirmation
_NONE_ATTACHED = "no mechanism"
_UNMEASURED = "not measured"
_ENDINGS = {"": "has not ended", "done": "", "exhausted": "reached a cap"}


@dataclass(frozen=True)
class _Candidate:
    """One mechanism that a search of mechanisms tried, as a table row.

    `gain_se` is over tasks, and so is the error of `against_none`, the difference from the arm
    alone. The gain of one that was stopped early is estimated: that of the trial it built on, and
    the difference so far; `gain_se` is then of the cells that were run. `taken` is the share of
    inner trials that would have been others without it, `cells` counts the inner searches, `hook_s`
    are seconds in its hooks by inner search.
    """

    arm: str
    seed: int
    task: str
    trial: int
    parent: int | None
    mechanism: str
    idea: str
    decision: str
    in_lineage: bool
    gain: float | None
    gain_se: float | None
    against_none: float | None
    against_none_se: float | None
    taken: float | None
    cells: float | None
    stopped_early: bool
    hook_s: float | None
    hook_errors: float | None
    failed_trials: float | None
    over_hook_limit: float | None
    problem: str


@dataclass(frozen=True)
class _Ancestor:
    """A trial of the lineage with the text of its mechanism; `unread` tells why there is none."""

    candidate: _Candidate
    source: str = ""
    unread: str = ""


@dataclass(frozen=True)
class Contrast:
    """The gain of the arm alone, and with the incumbent attached."""

    alone: float
    attached: float

    @property
    def difference(self) -> float:
        return self.attached - self.alone

    def __str__(self) -> str:
        return f"{self.attached:.3f} with it, {self.alone:.3f} without ({self.difference:+.3f})"


@dataclass(frozen=True)
class Discovery:
    """One search of mechanisms. `lineage` leads from the arm alone to the incumbent, and has one
    entry where nothing was kept; `fresh` and `held_out` are None where they were not measured."""

    arm: str
    seed: int
    task: str
    ended: str
    candidates: tuple[_Candidate, ...]
    lineage: tuple[_Ancestor, ...]
    by_task: Mapping[str, Contrast]
    held_out_by_task: Mapping[str, Contrast]
    own: Contrast
    fresh: Contrast | None
    held_out: Contrast | None

    @property
    def incumbent(self) -> _Candidate:
        """The trial that stands last: trial 0, the arm alone, where nothing was kept."""
        return self.lineage[-1].candidate

    @property
    def kept(self) -> bool:
        return self.incumbent.trial > 0

    @property
    def words(self) -> str:
        """What was found, in a few sentences."""
        how = _ENDINGS.get(self.ended, self.ended)
        return f"{how and f'The search {how}. '}{self._winner() if self.kept else self._nothing()}"

    def _winner(self) -> str:
        now, count = self.incumbent, len(self.candidates)
        se = "" if now.against_none_se is None else f" ± {now.against_none_se:.3f}"
        return (
            f"{now.mechanism} (trial {now.trial} of {count}) is the incumbent. Its gain on the "
            f"{len(self.by_task)} tasks of the training half: {self.own.attached:.3f} with it, "
            f"{self.own.alone:.3f} without ({self.own.difference:+.3f}{se}). On fresh seeds of the "
            f"same tasks: {self.fresh or _UNMEASURED}. "
            f"On tasks held out: {self.held_out or _UNMEASURED}."
        )

    def _nothing(self) -> str:
        failed = sum(one.gain is None for one in self.candidates)
        stopped = sum(one.stopped_early for one in self.candidates)
        whole = [(one.gain, one.mechanism) for one in self.candidates
                 if one.gain is not None and not one.stopped_early]  # fmt: skip
        best, name = max(whole, default=(0.0, ""))
        return (
            f"Nothing was kept: the arm without a mechanism has a gain of {self.own.alone:.3f} on "
            f"the training half, and none of {len(self.candidates)} candidates replaced it "
            f"({failed} without a value, {stopped} stopped early"
            f"{name and f'; the best of the others is {name}, {best:.3f}'})."
        )


def discoveries(study: Study, store: "Store | None") -> tuple[Discovery, ...]:
    """Return every search whose level-1 trials tried mechanisms, once its baseline is measured,
    by arm and seed; the texts of its lineage are read from the store."""
    return tuple(_discovery(one, store) for one in study.searches if _searches_mechanisms(one))


def _searches_mechanisms(search: Search) -> bool:
    tried = any(trial.mechanism for trial in search.trials)
    return tried and search.trials[0].number == 0 and search.trials[0].value is not None


def _discovery(search: Search, store: "Store | None") -> Discovery:
    first, line = search.trials[0], _lineage(search)
    rows = {one.number: _candidate(search, one, line) for one in search.trials}
    last = line[-1]
    assert first.value is not None  # of the searches that are chosen
    assert last.value is not None  # a failed trial is not kept
    return Discovery(
        arm=search.arm,
        seed=search.seed,
        task=search.task,
        ended=search.ended,
        candidates=tuple(rows[one.number] for one in search.trials if one.number > 0),
        lineage=tuple(_ancestor(rows[one.number], one, store) for one in line),
        by_task=_by_task(first, last),
        held_out_by_task=_held_out_by_task(search),
        own=Contrast(first.value, last.value),
        fresh=_again(search, _FRESH),
        held_out=_again(search, _HELD_OUT),
    )


def _lineage(search: Search) -> list[Tried]:
    """Return the incumbent, behind the trials that it builds on, from the baseline on."""
    trials = {one.number: one for one in search.trials}
    refuted = {one.retest_of for one in search.trials if one.decision == "discard"}
    kept = [t for t in search.trials if t.decision == "keep" and t.retest_of is None]
    line = [next(one for one in reversed(kept) if one.number not in refuted)]
    while line[0].parent is not None and line[0].parent in trials:
        line.insert(0, trials[line[0].parent])
    return line


def _candidate(search: Search, trial: Tried, line: list[Tried]) -> _Candidate:
    found, first = trial.metrics, search.trials[0]
    gain, alone = trial.value, first.value
    cells, hook_s = found.get("cells"), found.get("clock/hook_s")
    stopped = bool(found.get("stopped_early"))
    return _Candidate(
        arm=search.arm,
        seed=search.seed,
        task=search.task,
        trial=trial.number,
        parent=trial.parent,
        mechanism=trial.mechanism or (_NONE_ATTACHED if trial.number == 0 else ""),
        idea=trial.hypothesis,
        decision=trial.decision,
        in_lineage=trial in line,
        gain=gain,
        gain_se=found.get("gain_se"),
        against_none=gain - alone if gain is not None and alone is not None else None,
        against_none_se=None if stopped else _standard_error(_by_task(first, trial)),
        taken=found.get("taken"),
        cells=cells,
        stopped_early=stopped,
        hook_s=hook_s / cells if hook_s is not None and cells else None,
        hook_errors=found.get("hook_errors"),
        failed_trials=found.get("failed_trials"),
        over_hook_limit=found.get("over_hook_limit"),
        problem=trial.problem,
    )


def _ancestor(row: _Candidate, trial: Tried, store: "Store | None") -> _Ancestor:
    """Return the trial with the last text of its mechanism, which is the one that was judged."""
    if store is None or not trial.mechanism:
        return _Ancestor(row)
    try:
        attempts = json.loads(store.text(trial.run_id, "research.json"))["attempts"]
    except (TrackingError, ValueError) as error:
        return _Ancestor(row, unread=str(error))
    return _Ancestor(row, attempts[-1]["source"] if attempts else "")


def _again(search: Search, kind: str) -> Contrast | None:
    """Return the means over the fresh seeds at which arm and incumbent both have a value."""
    totals = search.totals
    place = f"{kind}/baseline/"
    names = [n for n in totals if n.startswith(place) and n.removeprefix(place).isdigit()]
    pairs = {name: name.replace("/baseline/", "/best/") for name in names}
    both = [(totals[name], totals[best]) for name, best in pairs.items() if best in totals]
    if not both:
        return None
    alone, attached = zip(*both, strict=True)
    return Contrast(statistics.fmean(alone), statistics.fmean(attached))


def _held_out_by_task(search: Search) -> dict[str, Contrast]:
    """Return the gains on each task that was held out, at the first fresh seed."""
    totals, place = search.totals, f"{_HELD_OUT}/baseline/{_BY_TASK}"
    best = f"{_HELD_OUT}/best/{_BY_TASK}"
    tasks = [name.removeprefix(place) for name in totals if name.startswith(place)]
    return {
        task: Contrast(totals[place + task], totals[best + task])
        for task in tasks
        if best + task in totals
    }


def _by_task(first: Tried, trial: Tried) -> dict[str, Contrast]:
    """Return the gains on each task that both were measured on."""
    return {
        name.removeprefix(_BY_TASK): Contrast(alone, trial.metrics[name])
        for name, alone in first.metrics.items()
        if name.startswith(_BY_TASK) and name in trial.metrics
    }


def _standard_error(by_task: Mapping[str, Contrast]) -> float | None:
    values = [one.difference for one in by_task.values()]
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
