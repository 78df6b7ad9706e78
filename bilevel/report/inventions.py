"""The mechanisms that a model wrote: their texts, every gate's verdict, ledger and credit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bilevel.errors import TrackingError
from bilevel.report.reading import Attached, Search, SessionRow, Study

if TYPE_CHECKING:
    from bilevel.tracking.store import Store

_MOST_SHOWN = 60  # sessions whose texts are read and shown; all are in the table
_ROWS = 12  # of a mechanism's ledger
_NEVER = "not attached"
_TOLD = [
    f"{whose}_{what}"
    for whose in ("own", "proposers")
    for what in ("trials", "kept", "mean_change")
]


@dataclass(frozen=True)
class _SourceText:
    """One source text of a session, and every gate's verdict: (passed, gate, reason)."""

    source: str
    verdicts: tuple[tuple[bool, str, str], ...]


@dataclass(frozen=True)
class _CandidateScore:
    """One of several mechanisms that a session wrote; without a score where no gate let it in."""

    name: str
    source: str
    behaviour: str
    chosen: bool
    score: Mapping[str, Any] | None


@dataclass(frozen=True)
class InventionReport:
    """One level-2 session and the fate of its mechanism; its texts are empty where they are not
    shown. `candidates` were scored by `judge` where it wrote several, and one, or none, chosen by
    `rule`."""

    arm: str
    seed: int
    session: SessionRow
    state: str
    counts: Mapping[str, int]
    credit: Mapping[str, float] = field(default_factory=dict)
    texts: tuple[_SourceText, ...] = ()
    bottleneck: str = ""
    behaviour: str = ""
    ledger: tuple[Mapping[str, Any], ...] = ()
    unread: str = ""
    candidates: tuple[_CandidateScore, ...] = ()
    judge: str = ""
    rule: str = ""
    shuffled: bool = False

    @property
    def acted(self) -> str:
        """Return how often each hook had which effect, in words."""
        told = {n: c for n, c in self.counts.items() if c and not n.endswith(".none")}
        return ", ".join(f"{name} {count}" for name, count in told.items()) or "nothing"

    @property
    def own(self) -> str:
        """Return the credit of the trials that the mechanism caused, in words."""
        return _came_to(self.credit, "own")

    @property
    def proposers(self) -> str:
        """Return the credit of the proposer's trials while the mechanism was attached, in words."""
        return _came_to(self.credit, "proposers")


@dataclass(frozen=True)
class InventionRow:
    """One session as a table row: the number of trials its mechanism caused, how many were kept,
    their mean change of the metric against their parents; the same for the proposer's trials
    meanwhile. Where it wrote several candidates, how many, and the gains of those with a score."""

    arm: str
    seed: int
    session: int
    mechanism: str
    domain: str
    domain_in_prompt: bool
    admitted: bool
    texts: int
    state: str
    own_trials: float | None
    own_kept: float | None
    own_mean_change: float | None
    proposers_trials: float | None
    proposers_kept: float | None
    proposers_mean_change: float | None
    acted: str
    problem: str
    candidates: int
    gains: str

    @classmethod
    def of(cls, one: InventionReport) -> "InventionRow":
        made = one.session
        return cls(
            one.arm, one.seed, made.number, made.mechanism, made.domain, made.domain_in_prompt,
            made.admitted, made.attempts, one.state, acted=one.acted, problem=made.problem,
            candidates=made.candidates,
            gains="; ".join(f"{label} {gain:+.4f}" for label, gain in made.gains.items()),
            **{name: one.credit.get(name) for name in _TOLD},
        )  # fmt: skip


def inventions(study: Study, store: "Store | None") -> tuple[InventionReport, ...]:
    """Return every session, by arm and seed; the texts of the first sixty are read from the
    store."""
    found = []
    for place, (search, session) in enumerate(_sessions(study.searches)):
        known = {one.name: one for one in search.attached}
        attached = known.get(session.mechanism) if session.admitted else None
        state = _NEVER if attached is None else attached.state
        counts = {} if attached is None else attached.counts
        credit = {} if attached is None else attached.credit
        unread = store is None or place >= _MOST_SHOWN
        texts = {} if store is None or unread else _read(store, session, attached)
        found.append(
            InventionReport(search.arm, search.seed, session, state, counts, credit, **texts)
        )
    return tuple(found)


def _sessions(searches: Sequence[Search]) -> Iterator[tuple[Search, SessionRow]]:
    for search in searches:
        yield from ((search, session) for session in search.sessions)


def _read(store: "Store", session: SessionRow, attached: Attached | None) -> dict[str, Any]:
    """Return a session's artifact; one that is missing is noted in the report instead."""
    try:
        made = json.loads(store.text(session.run_id, "research.json"))
        rows = json.loads(store.text(attached.run_id, "ledger.json")) if attached else []
    except (TrackingError, ValueError) as error:
        return {"unread": str(error)}
    texts = [_SourceText(a["source"], tuple(_verdicts(a["admission"]))) for a in made["attempts"]]
    acting = [row for row in rows if row.get("effect") != "none"]
    return {
        "texts": tuple(texts),
        "bottleneck": made["bottleneck"],
        "behaviour": made["behaviour"],
        "ledger": tuple(acting[:_ROWS]),
        **_screened(made.get("screening")),
    }


def _screened(screening: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the candidates of a session that screened several, and how they were judged."""
    if screening is None:
        return {}
    candidates = [
        _CandidateScore(
            one["made"]["name"],
            one["made"]["source"],
            one["made"]["behaviour"],
            one["chosen"],
            one["score"],
        )
        for one in screening["candidates"]
    ]
    judged = {name: screening[name] for name in ("judge", "rule", "shuffled")}
    return {"candidates": tuple(candidates), **judged}


def _came_to(credit: Mapping[str, float], whose: str) -> str:
    """Return one side's credit in words; empty where an older version did not track it."""
    trials = credit.get(f"{whose}_trials")
    if trials is None:
        return "not tracked"
    change = credit.get(f"{whose}_mean_change")
    mean = "" if change is None else f", mean change {change:+.4f}"
    return f"{trials:.0f} trials, {credit[f'{whose}_kept']:.0f} kept{mean}"


def _verdicts(admission: Mapping[str, Any]) -> Iterator[tuple[bool, str, str]]:
    for verdict in admission["verdicts"]:
        yield verdict["passed"], verdict["gate"], verdict["reason"]
