"""What a tracker is told: frozen payloads for a search, its trials and its mechanisms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bilevel.trace import Objective, Trial

_ENDINGS = ("done", "failed", "exhausted")  # how a search can end, in the words of `Tracker.end`


class CallRecord(Protocol):
    """One reply of the language model; `bilevel.llm.ledger.Call` has this shape."""

    @property
    def key(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def messages(self) -> Sequence[Mapping[str, str]]: ...
    @property
    def text(self) -> str: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def usd(self) -> float: ...
    @property
    def problem(self) -> str: ...


@dataclass(frozen=True)
class SearchInfo:
    """The identity of one search; `search_id` is new when the user starts it over.

    `model` is the language model behind the name `llm`, with its temperature; `task_settings` are
    those that decide what is measured; `dependent_seeds` is the setting, if there is one, by which
    the study's seeds learn from each other. `prompts` and `stand_in_version` are digests, empty
    where they are not known; `noise_told` is what the prompts say of the metric's noise; `role`
    is what the arm's file says of it, as JSON.
    """

    study: str
    arm: str
    seed: int
    llm: str
    task: str
    search_id: str
    fingerprint: str
    objective: Objective
    config_yaml: str = ""
    journal: Path | None = None
    model: str = ""
    task_settings: Mapping[str, Any] = field(default_factory=dict)
    dependent_seeds: str = ""
    prompts: str = ""
    stand_in_version: str = ""
    noise_told: str = ""
    role: str = ""

    @property
    def stand_in(self) -> bool:
        """Whether the scripted model stood in for a real one."""
        return self.llm == "scripted"


@dataclass(frozen=True)
class TrialRecord:
    """One decided trial. `level` 1 is the innermost loop, anything above is an outer proposal.

    `calls` are the model calls made for this trial, `hooks` its rows of the activation ledger.
    `totals` are sums over the search so far (tokens, llm_calls, usd, modelled_s, wall_s); each
    becomes a metric of the search at this trial. `metric` names the trial's value where that is
    another one than the search's, as above level 1.
    """

    level: float
    trial: Trial
    baseline: float | None = None
    best: float | None = None
    calls: Sequence[CallRecord] = ()
    totals: Mapping[str, float] = field(default_factory=dict)
    hooks: Sequence[Mapping[str, Any]] = ()
    metric: str = ""

    @property
    def label(self) -> str:
        """The key by which the trial's run is found when the search is executed again."""
        return f"trial/{self.level:g}/{self.trial.number}"


@dataclass(frozen=True)
class MechanismRecord:
    """A mechanism and what its activation ledger amounts to.

    `state` is live, prompted, on probation or dead; `counts` counts hook calls by what they did
    (`review.decision` -> 3); `rows` are the ledger's rows as plain data; `credit` tells of the
    trials it caused (`own_trials`, `own_kept`, `own_mean_change` ...) and the proposer's meanwhile.
    """

    name: str
    carrier: str
    state: str
    source: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    level: float = 1
    credit: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"mechanism/{self.level:g}/{self.name}"


@dataclass(frozen=True)
class Run:
    """A run read from the store."""

    run_id: str
    name: str
    status: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


class Tracker(Protocol):
    """The protocol of what records searches for people to look at; the journal is authoritative.

    A search that is executed again from its first trial reports everything to its tracker again.
    """

    @property
    def problem(self) -> str:
        """Why nothing more is being tracked, or the empty string."""

    def start(self, info: SearchInfo) -> None:
        """Opens or finds the search. Raises TrackingError if the store cannot be written."""

    def trial(self, record: TrialRecord) -> None: ...

    def mechanisms(self, records: Sequence[MechanismRecord]) -> None:
        """Records the current state of the mechanisms; may be called any number of times."""

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        """Ends the search's run; `status` is done, failed or exhausted (a cap was reached)."""

    def leave_running(self) -> None:
        """Stops tracking a search that did not end: its records are kept, and its run stays
        open."""

    def supersede(self, study: str, arm: str, seed: int) -> int:
        """Marks every search of this triple as started over; returns how many."""


class NullTracker:
    """Tracks nothing, for `tracking=none`."""

    problem = ""

    def start(self, info: SearchInfo) -> None:
        pass

    def trial(self, record: TrialRecord) -> None:
        pass

    def mechanisms(self, records: Sequence[MechanismRecord]) -> None:
        pass

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        check_ending(status)

    def leave_running(self) -> None:
        pass

    def supersede(self, study: str, arm: str, seed: int) -> int:
        return 0


def check_ending(status: str) -> None:
    if status not in _ENDINGS:
        raise ValueError(f"status={status!r}: expected one of {', '.join(_ENDINGS)}")
