"""What a hook may answer, and how the ledger tells of it."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bilevel.ledger import Effect
from bilevel.space import canonical
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View

T = TypeVar("T")
Verdict = tuple[Effect, str, str]  # the effect, what was done, what would have been done without
NO_EFFECT: Verdict = (Effect.NONE, "", "")


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


def proposals(answer: Iterable[object]) -> tuple[Proposal, ...]:
    """The candidates, each with changes that can be written down."""
    made = tuple(of_kind(candidate, Proposal) for candidate in answer)
    for candidate in made:
        canonical(candidate.changes)
    return made


def decision(changed: bool, did: str, without: str) -> Verdict:
    return (Effect.DECISION, did, without) if changed else NO_EFFECT


def number_of(trial: Trial | None) -> str:
    return "none" if trial is None else f"trial {trial.number}"


def shown(brief: Brief) -> str:
    return f"{len(brief.trials)} trials and {len(brief.text)} characters shown"


def listed(candidates: Sequence[Proposal]) -> str:
    return "; ".join(str(dict(c.changes)) for c in candidates) or "nothing"


def verdict_of(kept: bool) -> str:
    return "keep" if kept else "discard"
