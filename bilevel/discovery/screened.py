"""Level 2 with a look before it leaps: several mechanisms are written, tried on small tasks, and
the best is proposed if it is better than none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from statistics import fmean
from typing import Annotated, Any

from bilevel.discovery import members as suites
from bilevel.discovery.cells import PLACES, Cell, paired
from bilevel.discovery.contestant import Attached, Contestant
from bilevel.discovery.fits import fits
from bilevel.discovery.measuring import Judge, Measuring
from bilevel.discovery.members import TRAINING, Member
from bilevel.errors import ConfigError
from bilevel.invention import Candidate, Invention, Score, Screening
from bilevel.levels.inventor import Inventor, proposed
from bilevel.randomness import digest
from bilevel.sandbox.worker_handle import Limits
from bilevel.settings import FREE, Count, Seconds, Switch, Text, Whole, Words, one_of
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, View

ONE_ERROR = "above one standard error"
_RULES: Mapping[str, Callable[[Score], bool]] = {
    ONE_ERROR: lambda score: score.se is not None and score.gain > score.se
}
"""When the best candidate is proposed, by the name of the rule; a changed one gets a new name."""


class Screened:
    """A proposer of level 2 around an inventor: it has `candidates` mechanisms written, one session
    each, and proposes the one with the highest score if `rule` lets it, or none with the reason.

    A score is the mean paired gain over none of searches that the arm `inner` (with the overrides
    `inner_settings`), which may ask no model, makes of the training half of `suite`, and of
    `surrogates` fitted to the trace of the search itself once `fitted_from` of its trials have a
    value: `trials` a search, `repeats` seeds a task. `hook_limit_s` is what the hooks of a
    mechanism may take in one search; beyond it is detached for the rest of that search. Scores are
    measured once and journaled. `workers` searches are run at a time, which decides nothing.

    With `shuffled`, for a control, the gains of the candidates and of none change places before
    they are shown and before they decide. Raises ConfigError.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        inventor: Inventor,
        *,
        limits: Limits,
        candidates: Count,
        suite: Text,
        inner: Text,
        trials: Count,
        repeats: Count,
        surrogates: Whole,
        fitted_from: Count,
        hook_limit_s: Seconds,
        inner_settings: Words = (),
        rule: Annotated[str, *one_of(_RULES)] = ONE_ERROR,
        shuffled: Switch = False,
        workers: Annotated[Count, FREE] = 2,
    ) -> None:
        if rule not in _RULES:
            raise ConfigError(f"rule={rule!r}: expected one of {', '.join(_RULES)}")
        self._inventor, self._limits = inventor, limits
        self._candidates, self._rule, self._shuffled = candidates, rule, shuffled
        self._suite, self._inner, self._inner_settings = suite, inner, tuple(inner_settings)
        self._trials, self._repeats = trials, repeats
        self._surrogates, self._fitted_from = surrogates, fitted_from
        self._hook_limit_s, self._workers = hook_limit_s, workers

    def ready(self) -> None:
        """Makes the tasks and the arm. Raises ConfigError where they cannot be used; a search that
        is executed again needs neither."""
        for part in ("_contestant", "_members"):
            getattr(self, part)

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """Returns one proposal, whose `mechanism` holds every candidate with its score."""
        made: list[Invention] = []
        for number in range(self._candidates):
            made.append(self._inventor.session(_numbered(view, number), brief, made))
        return [proposed(self._chosen(view, made))]

    def _chosen(self, view: View, made: Sequence[Invention]) -> Invention:
        """Returns the best candidate if the rule lets it, or none, with the screening of all."""
        admitted = [one for one in made if one.admitted]
        scores, judge = self._scores(view, admitted) if admitted else ({}, "nothing")
        best = max(scores, key=lambda name: scores[name].gain, default="")
        chosen = None
        problem = "no gate let any of them in"
        if best and _RULES[self._rule](scores[best]):
            chosen = next(one for one in admitted if one.name == best)
        elif best:
            problem = f"the best, {best}, is not {self._rule} ({scores[best]})"
        candidates = tuple(
            Candidate(one, scores[one.name] if one.admitted else None, chosen=one is chosen)
            for one in made
        )
        screening = Screening(candidates, judge, self._rule, self._shuffled)
        return replace(chosen or Invention(problem=problem), screening=screening)

    def _scores(self, view: View, admitted: Sequence[Invention]) -> tuple[dict[str, Score], str]:
        """Returns the scores by name, and on what they were measured."""
        found = view.recall(
            "screening",
            {"sources": [one.source for one in admitted]},
            lambda: self._measured(view, admitted),
        )
        cells = [[Cell.from_json(cell) for cell in cells] for cells in found["cells"]]
        none, *others = _exchanged(view, cells) if self._shuffled else cells
        scores = {one.name: _score(c, none) for one, c in zip(admitted, others, strict=True)}
        return scores, found["judge"]

    def _measured(self, view: View, admitted: Sequence[Invention]) -> dict[str, Any]:
        """Returns the cells of none and of each candidate, as data for the journal."""
        fitted = fits(view.innermost, self._surrogates, self._fitted_from)
        judges: list[Judge] = [*self._members, *fitted]
        places = [(judge, repeat) for repeat in range(self._repeats) for judge in judges]
        seed = digest(view.seed, view.level, view.trial, "screening")
        how = Measuring(self._contestant, self._limits, self._hook_limit_s, self._workers)
        attached = [Attached.admitted(one.source, one.attempts[-1].admission) for one in admitted]
        found = [how.cells(places, seed, one) for one in (None, *attached)]
        own = f" and {len(fitted)} surrogates of this search" if fitted else ""
        by = " with ".join([self._contestant.title, *self._inner_settings])
        return {
            "judge": f"{len(self._members)} tasks of {self._suite}{own}, {self._repeats} seeds "
            f"each, searches of {self._trials} trials for which {by} proposes",
            "cells": [[cell.to_json() for cell, _ in cells] for cells in found],
            "clock": {"hook_s": sum(cost["hook_s"] for cells in found for _, cost in cells)},
        }

    @cached_property
    def _contestant(self) -> Contestant:
        settings = self._inner_settings
        made = Contestant.named(self._inner, "scripted", self._trials, overrides=settings)
        if made.has_model:
            raise ConfigError(
                f"screening.inner={self._inner} asks a model, whose calls would be outside of this "
                "search's caps: choose an arm without one (random, tpe, cmaes, gp)"
            )
        return made

    @cached_property
    def _members(self) -> Sequence[Member]:
        return suites.members(self._suite)[TRAINING]


def _numbered(view: View, number: int) -> View:
    """Returns the same picture, whose recall keeps what belongs to this candidate apart."""

    def recall(
        what: str, request: Mapping[str, Any], produce: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        return view.recall(f"candidate/{number}/{what}", request, produce)

    return replace(view, recall=recall)


def _exchanged(view: View, cells: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Returns the cells with the gains of one another, by a permutation keyed by the trial; what a
    mechanism did beside that stays its own."""
    order = list(range(len(cells)))
    view.for_("screening/exchange").rng.shuffle(order)
    return [
        [replace(own, gain=other.gain) for own, other in zip(mine, cells[place], strict=True)]
        for mine, place in zip(cells, order, strict=True)
    ]


def _score(cells: Sequence[Cell], none: Sequence[Cell]) -> Score:
    ahead = paired(cells, none)
    return Score(
        round(ahead.mean, PLACES),
        round(ahead.se, PLACES) if len(ahead.by_task) > 1 else None,
        {task: round(gain, PLACES) for task, gain in ahead.by_task.items()},
        taken=round(fmean(cell.taken for cell in cells), PLACES),
        errors=sum(cell.errors for cell in cells),
        stopped=sum(cell.stopped for cell in cells),
    )
