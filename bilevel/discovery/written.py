"""Mechanisms that the model of a search wrote: found by executing it again from its journal."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.config.files import CONF
from bilevel.errors import BadInput
from bilevel.invention import Invention
from bilevel.journal import read
from bilevel.search.confirmation import Confirmation
from bilevel.search.execution import Execution
from bilevel.search.from_journal import replay_exactly, settings_from_journal
from bilevel.trace import Trial
from bilevel.tracking import MechanismRecord, NullTracker, SearchInfo, TrialRecord


@dataclass(frozen=True)
class Written:
    """An admitted mechanism and what its search recorded of it.

    `by` is the session of level 2, or the trial of a search of mechanisms, that wrote it;
    `baseline` is the first trial of that level. `attached` is its account by the ledger, if it was
    attached there; `confirmation` and `held_out` are those of the search, where the mechanism is
    its best. `model` is who answered, `settings` those of the search.
    """

    invention: Invention
    by: TrialRecord
    search: SearchInfo
    settings: Mapping[str, Any]
    model: Mapping[str, Any]
    complete: bool
    baseline: Trial
    attached: MechanismRecord | None = None
    confirmation: Confirmation | None = None
    held_out: Confirmation | None = None

    @property
    def is_searched_for(self) -> bool:
        """Whether mechanisms are what the search searched, and not what changed it."""
        return self.by.level == 1


class _Witness(NullTracker):
    """A tracker that keeps what an execution records of its mechanisms. Of several with one name
    it keeps the last that was kept, else the last that was admitted, else the last."""

    def __init__(self) -> None:
        self.search: SearchInfo | None = None
        self.wrote: dict[str, TrialRecord] = {}
        self.records: dict[str, MechanismRecord] = {}

    def start(self, info: SearchInfo) -> None:
        self.search = info

    def trial(self, record: TrialRecord) -> None:
        made = record.trial.proposal.mechanism
        if made is None:
            return
        before = self.wrote.get(made.name)
        if before is None or _weight(record) >= _weight(before):
            self.wrote[made.name] = record

    def mechanisms(self, records: Sequence[MechanismRecord]) -> None:
        self.records = {record.name: record for record in records}


def digest_of(source: str) -> str:
    """The digest by which results name a mechanism's text."""
    return hashlib.sha256(source.encode()).hexdigest()


def written(journal: Path, name: str) -> Written:
    """The admitted mechanism of this name. Raises BadInput that names those there are, and
    JournalError where executing the search again does not reproduce its journal."""
    witness, settings = _Witness(), settings_from_journal(journal, CONF)
    execution = replay_exactly(settings, journal, witness)
    by = _chosen(witness, name)
    assert witness.search is not None  # told before the first trial
    return Written(
        invention=_invention(by),
        by=by,
        search=witness.search,
        settings=settings,
        model=next(entry["data"] for entry in read(journal) if entry["key"] == "model"),
        complete=execution.complete,
        baseline=next(loop for loop in execution.loops if loop.level == by.level).trace[0],
        attached=witness.records.get(name),
        **_confirmed(execution, by),
    )


def _confirmed(execution: Execution, by: TrialRecord) -> dict[str, Confirmation | None]:
    best = execution.loops[0].best
    if by.level != 1 or best is None or best.number != by.trial.number:
        return {}
    return {"confirmation": execution.confirmation, "held_out": execution.held_out}


def _chosen(witness: _Witness, name: str) -> TrialRecord:
    made = {n: _invention(record) for n, record in witness.wrote.items()}
    admitted = ", ".join(n for n, m in made.items() if m.admitted) or "none"
    if name not in made:
        raise BadInput(f"mechanism={name}: this search invented and admitted: {admitted}")
    if not made[name].admitted:
        problem = made[name].problem
        raise BadInput(f"mechanism={name} was not admitted ({problem}); admitted: {admitted}")
    return witness.wrote[name]


def _invention(record: TrialRecord) -> Invention:
    made = record.trial.proposal.mechanism
    assert made is not None  # a witness keeps no others
    return made


def _weight(record: TrialRecord) -> tuple[bool, bool]:
    return record.trial.kept, _invention(record).admitted
