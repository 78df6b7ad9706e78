"""The loop itself on a surrogate: trials a second, and how often the journal forces the disk."""

import os
import tempfile
import time
from pathlib import Path
from unittest import mock

from bilevel.baselines.random_search import RandomSearch
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.scripted import scripted_client
from bilevel.llm.session import Session
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.proposers.llm import LLMProposer
from bilevel.tasks.surrogate import Surrogate

TRIALS = 4000
Row = tuple[str, float, str, str | None]


def trials_per_s(journal: Journal) -> float:
    task = Surrogate("trap")
    loop = Loop(
        task=task,
        proposer=RandomSearch(task.space),
        acceptance=Greedy(),
        trials=TRIALS,
        journal=journal,
    )
    started = time.perf_counter()
    loop.run()
    return TRIALS / (time.perf_counter() - started)


def fsyncs_per_trial(path: Path) -> float:
    """Of a search whose every trial asks a model once."""
    task = Surrogate("trap")
    forced = mock.Mock(side_effect=os.fdatasync)
    client = scripted_client(name="scripted", model="scripted", base_url=None)
    with Journal(path) as journal, mock.patch("bilevel.journal.os.fdatasync", forced):
        session = Session(client, journal, CallLedger(), seed=1)
        loop = Loop(
            task=task,
            proposer=LLMProposer(task.space),
            acceptance=Greedy(),
            trials=50,
            journal=journal,
            asker=session.asker,
        )
        loop.run()
        calls = len(session.ledger)
        session.close()
    repairs = calls - 50
    return float((forced.call_count - repairs) / len(loop.trace))


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        bare = trials_per_s(Journal(None))
        with Journal(Path(folder) / "random.jsonl") as journal:
            kept = trials_per_s(journal)
        fsyncs = fsyncs_per_trial(Path(folder) / "llm.jsonl")
    return [
        ("loop, random proposer, no journal", bare, "trials/s", ">= 2000"),
        ("the same with the journal", kept, "trials/s", None),
        ("fsyncs a trial with a model call", fsyncs, "", "<= 2"),
    ]
