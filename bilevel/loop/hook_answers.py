"""Checks the answers of hooks against their types and limits, and words them for the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from bilevel.loop.activations import Effect
from bilevel.space import canonical
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View

T = TypeVar("T")
Account = tuple[Effect, str, str]  # the effect, what was done, what would have been done without
NO_EFFECT: Account = (Effect.NONE, "", "")
MAX_CANDIDATES = 256  # of one call; in a review, besides those that were given
MAX_TEXT_CHARS = 4_000  # of a hypothesis, or of why a candidate is rejected
_MAX_CHANGES_CHARS = 256 << 10  # of one candidate: a whole training script fits
_MAX_DEPTH = 12  # of lists and dicts within a candidate's value
_MAX_BITS = 1024  # of a whole number: what a float can hold
MAX_BRIEF_CHARS = 10_000  # that one mechanism may add to a brief
_MAX_LISTED_CHARS = 20_000  # of what the ledger tells of one call


def of_kind(answer: object, kind: type[T]) -> T:
    if not isinstance(answer, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(answer).__name__}")
    return answer


def numbered(view: View, number: object) -> Trial | None:
    if number is None:
        return None
    if not 0 <= of_kind(number, int) < view.trial:
        raise ValueError(f"{number!r} is not a trial; valid: 0 to {view.trial - 1}")
    found: Trial = view.trace[number]
    return found


def _limited(hook: str, what: str, found: int, most: int) -> None:
    """Raises ValueError, naming the limit, where `found` exceeds `most`."""
    if found > most:
        raise ValueError(f"{hook}: {found:,} {what}; at most {most:,} are taken")


def proposed(name: str, answer: Iterable[object]) -> tuple[Proposal, ...]:
    """Returns a mechanism's candidates under its own name, whatever origin they claim. Raises
    TypeError or ValueError."""
    made = _candidates("propose", answer)
    return tuple(Proposal(c.changes, c.hypothesis, name) for c in made)


def reviewed(
    name: str, view: View, given: Sequence[Proposal], answer: Iterable[object]
) -> tuple[Proposal, ...]:
    """Returns the candidates as a review leaves them. Raises TypeError or ValueError.

    Origins, and the fields that only the loop may set, are taken from the given candidates. A
    candidate with the same effect as a given one is that one, kept, rejected or repeated, however
    it is written; of two such, the one with the same words. One under the origin of a given
    candidate that is missing from the answer is an edit of it; any other is the mechanism's own.
    """
    made = _candidates("review", answer, MAX_CANDIDATES + len(given))
    missing = list(given)
    found: list[Proposal | None] = [None] * len(made)
    landings = {id(c): view.space.landing(view.base, c.changes) for c in (*given, *made)}

    def runs_as(known: Proposal, other: Proposal) -> bool:
        """Returns whether both run the same configuration; one with a problem runs nothing."""
        same = not known.problem and landings[id(known)] == landings[id(other)]
        return same or known.changes == other.changes

    for alike in (_same_words, runs_as):
        for place, one in enumerate(made):
            same = next((c for c in missing if found[place] is None and alike(c, one)), None)
            if same is not None:
                missing.remove(same)
                found[place] = replace(same, rejected=one.rejected)
    for place, one in enumerate(made):
        same = next((c for c in given if found[place] is None and runs_as(c, one)), None)
        if same is not None:
            found[place] = replace(same, rejected=one.rejected)
    return tuple(
        _edited(name, missing, one) if same is None else same
        for one, same in zip(made, found, strict=True)
    )


def _same_words(one: Proposal, other: Proposal) -> bool:
    told = one.origin == other.origin and one.hypothesis == other.hypothesis
    return told and one.changes == other.changes


def _edited(name: str, missing: list[Proposal], made: Proposal) -> Proposal:
    before = next((c for c in missing if c.origin == made.origin), None)
    if before is None:
        return Proposal(made.changes, made.hypothesis, name, rejected=made.rejected)
    missing.remove(before)
    text, why = made.hypothesis, made.rejected
    return replace(before, changes=made.changes, hypothesis=text, rejected=why)


def _candidates(hook: str, answer: Iterable[object], most: int = MAX_CANDIDATES) -> list[Proposal]:
    """Returns the candidates of an answer, checked against every limit. Raises TypeError or
    ValueError."""
    made = [of_kind(one, Proposal) for one in islice(answer, most + 1)]
    _limited(hook, "candidates", len(made), most)
    for one in made:
        texts = {"a hypothesis": one.hypothesis, "a reason of rejection": one.rejected}
        for what, text in texts.items():
            _limited(hook, f"characters in {what}", len(of_kind(text, str)), MAX_TEXT_CHARS)
        if not isinstance(one.changes, Mapping):
            raise TypeError(f"changes are a dict, not {type(one.changes).__name__}")
        _limited(hook, "levels in a candidate's changes", _depth(hook, one.changes), _MAX_DEPTH)
        size = len(canonical(one.changes))
        _limited(hook, "characters in a candidate's changes", size, _MAX_CHANGES_CHARS)
    return made


def _depth(hook: str, changes: object) -> int:
    """Returns how deep lists and dicts are nested, at most one more than allowed. Raises ValueError
    for a whole number of too many bits."""
    level, depth = [changes], 0
    while level and depth <= _MAX_DEPTH:
        deeper: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                deeper += value.values()
            elif isinstance(value, list | tuple):
                deeper += value
            elif isinstance(value, int):
                _limited(hook, "bits in a whole number", value.bit_length(), _MAX_BITS)
        level, depth = deeper, depth + 1
    return depth if level else depth - 1


def briefed(view: View, given: Brief, made: object) -> Brief:
    """Returns the brief that a mechanism made. Raises TypeError, and ValueError where it adds too
    much."""
    brief = of_kind(made, Brief)
    text = of_kind(brief.text, str)
    _limited("brief", "more characters of text", len(text) - len(given.text), MAX_BRIEF_CHARS)
    _limited("brief", "trials", len(brief.trials), max(view.trial, len(given.trials)))
    return brief


def decision(changed: bool, did: str, without: str) -> Account:
    return (Effect.DECISION, did, without) if changed else NO_EFFECT


def number_of(trial: Trial | None) -> str:
    return "none" if trial is None else f"trial {trial.number}"


def shown(brief: Brief) -> str:
    return f"{len(brief.trials)} trials and {len(brief.text)} characters shown"


def listed(candidates: Sequence[Proposal]) -> str:
    told = "; ".join(str(dict(c.changes)) for c in candidates) or "nothing"
    return told if len(told) <= _MAX_LISTED_CHARS else told[: _MAX_LISTED_CHARS - 3] + "..."


def verdict_of(kept: bool) -> str:
    return "keep" if kept else "discard"
