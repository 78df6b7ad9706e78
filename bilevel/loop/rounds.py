"""The record of one round: its candidates, and what it would have tried without a mechanism.

The counterfactual is computed from the round alone: a review is assumed to do to another list what
it did to its own (the candidates it saw keep their order, edits and verdicts; those it never saw
stay in place). No hook and no model is asked again, so the effect of a mechanism's text on the
proposer is not part of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bilevel.loop.rules import ALTERNATE, TAKE_TURNS
from bilevel.space import Config, SearchSpace, canonical
from bilevel.trace import Proposal

Fresh = tuple[tuple[str, Proposal], ...]  # each with its mechanism's name, "" for the proposer's
_Spared = Callable[[str, str], bool]  # whether a mechanism, by name, is not called at a hook
_Left = tuple[list[Proposal], list[Proposal]]  # the candidates that are left, and those dropped


def nobody(name: str, hook: str) -> bool:
    """Spares no mechanism: every hook counts as called."""
    return False


class Turns:
    """Tells which mechanism's turn it is, by `Rules.turn`."""

    def __init__(self, rule: str) -> None:
        self._alternate = rule in (TAKE_TURNS, ALTERNATE)
        self._rounds = 0  # in which mechanisms proposed
        self._had: Counter[str] = Counter()  # turns, by mechanism

    def split(self, proposed: Sequence[Proposal]) -> tuple[Fresh, Fresh]:
        """Returns what mechanisms proposed in two parts: the candidates of the one whose turn it
        is, and the others."""
        theirs = tuple((candidate.origin, candidate) for candidate in proposed)
        if not self._alternate or not theirs:
            return (), theirs
        self._rounds += 1
        if self._rounds % 2 == 0:
            return (), theirs
        first = min((name for name, _ in theirs), key=lambda name: self._had[name])
        self._had[first] += 1
        return (
            tuple(one for one in theirs if one[0] == first),
            tuple(one for one in theirs if one[0] != first),
        )


@dataclass(frozen=True)
class Review:
    """One mechanism's review: the candidates it was given, and those it answered."""

    name: str
    given: tuple[Proposal, ...]
    made: tuple[Proposal, ...]

    def again(self, candidates: Sequence[Proposal]) -> _Left:
        """Applies the review to another list of candidates; returns those that are left and those
        dropped."""
        fates = self._fates()
        sources = {id(fate): key for key, fate in fates.items()}
        given = [(canonical(c.changes), c) for c in candidates]
        seen = {None, *(key for key, _ in given)}
        made = [
            m
            for m in self.made
            if (key if (key := canonical(m.changes)) in fates else sources.get(id(m))) in seen
        ]
        left = iter([m for m in made if not m.rejected])
        out: list[Proposal] = []
        for key, candidate in given:
            if key not in fates:
                out.append(candidate)
            elif (following := next(left, None)) is not None:
                out.append(following)
        missing = [candidate for key, candidate in given if fates.get(key, candidate) is None]
        dropped = [m for m in made if m.rejected]
        return [*out, *left], dropped + [c.reject(f"dropped by {self.name}") for c in missing]

    def _fates(self) -> dict[str, Proposal | None]:
        """Returns changes -> what became of that candidate; None where it was left out. One that is
        missing from the answer counts as edited if a new candidate stands in its place."""
        known = {canonical(c.changes) for c in self.given}
        edited = iter([m for m in self.made if canonical(m.changes) not in known])
        by_changes = {canonical(m.changes): m for m in self.made}
        fates: dict[str, Proposal | None] = {}
        for candidate in self.given:
            key = canonical(candidate.changes)
            if key not in fates:
                fates[key] = by_changes[key] if key in by_changes else next(edited, None)
        return fates


@dataclass(frozen=True)
class Cause:
    """The cause of a trial: see `Trial.caused_by` and `Trial.displaced`."""

    by: tuple[str, ...] = ()
    displaced: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Turn:
    """One asking of a round: new candidates, and the reviews of these and of those left before."""

    fresh: Fresh
    reviews: Sequence[Review]


@dataclass
class Round:
    """One round: its turns, which together give up to `batch` candidates built on `base`."""

    space: SearchSpace
    base: Config
    batch: int
    turns: list[Turn] = field(default_factory=list)

    @property
    def involved(self) -> list[tuple[str, str]]:
        """The (mechanism, hook) pairs that proposed or reviewed in this round."""
        proposed = [(name, "propose") for turn in self.turns for name, _ in turn.fresh if name]
        reviewed = [(review.name, "review") for turn in self.turns for review in turn.reviews]
        return list(dict.fromkeys(proposed + reviewed))

    def left(self, spared: _Spared = nobody) -> _Left:
        """Returns the candidates that the turns so far left and dropped, as if the spared hooks had
        not been called."""
        kept: list[Proposal] = []
        dropped: list[Proposal] = []
        for turn in self.turns:
            if len(kept) >= self.batch:
                break
            kept += [c for name, c in turn.fresh if not (name and spared(name, "propose"))]
            called = [review for review in turn.reviews if not spared(review.name, "review")]
            kept, gone = left(kept, called)
            dropped += gone
        return kept, dropped

    def chosen(self, spared: _Spared = nobody) -> list[Proposal]:
        """Returns the candidates to try: the first that are left, or else the last that were
        dropped."""
        kept, dropped = self.left(spared)
        spare = [replace(candidate, rejected="") for candidate in reversed(dropped)]
        return list(kept or spare)[: self.batch]

    def without(self, name: str, hook: str) -> list[Proposal]:
        """Returns the candidates that would be tried without this mechanism at this hook."""
        return self.chosen(lambda n, h: (n, h) == (name, hook))

    def displaced(self, tried: Sequence[Proposal]) -> dict[int, Mapping[str, object]]:
        """Returns place in `tried` -> the changes that would be tried there without any
        mechanism."""
        otherwise = self.chosen(lambda name, hook: True)
        missing = [otherwise[place].changes for place in self.new(otherwise, tried)]
        return dict(zip(self.new(tried, otherwise), missing, strict=False))

    def new(self, tried: Sequence[Proposal], otherwise: Iterable[Proposal]) -> list[int]:
        """Returns the places in `tried` whose configuration is not in `otherwise`."""
        left = Counter(self._tried(proposal) for proposal in otherwise)
        places = []
        for place, proposal in enumerate(tried):
            key = self._tried(proposal)
            if left[key]:
                left[key] -= 1
            else:
                places.append(place)
        return places

    def _tried(self, proposal: Proposal) -> str:
        landing = self.space.landing(self.base, proposal.changes)
        return canonical({"landing": landing, "problem": proposal.problem})


def left(candidates: Sequence[Proposal], reviews: Sequence[Review]) -> _Left:
    """Applies the reviews one after the other; returns the candidates that are left and those
    dropped."""
    kept, dropped = list(candidates), list[Proposal]()
    for review in reviews:
        kept, gone = review.again(kept)
        dropped += gone
    return kept, dropped
