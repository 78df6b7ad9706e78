"""A search that goes by linear algebra comes out again where that gives other signs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.samplers import CmaEsSampler

from bilevel.baselines.centaur import Centaur
from bilevel.baselines.optuna_search import OptunaSearch
from bilevel.errors import JournalError
from bilevel.journal import Journal
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Trial

Make = Callable[[bool], Any]
TRIALS = 40
MAKERS: dict[str, Make] = {
    "cmaes": lambda recorded: OptunaSearch(
        Surrogate("trap").space,
        sampler=lambda seed, **own: CmaEsSampler(seed=seed, warn_independent_sampling=False, **own),
        start="baseline",
        recorded=recorded,
    ),
    "centaur": lambda recorded: Centaur(Surrogate("trap").space, share=0.0, recorded=recorded),
}


def search(path: Path, proposer: Any, trials: int = TRIALS) -> list[Trial]:
    with Journal(path) as journal:
        task = Surrogate("trap")
        ran = Loop(
            task=task,
            proposer=proposer,
            acceptance=Greedy(),
            trials=trials,
            journal=journal,
            seed=3,
        )
        ran.run()
        return list(ran.trace)


@pytest.fixture
def another_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, eigenvectors have the other sign: just as right."""
    eigh = np.linalg.eigh

    def other(matrix: Any, *rest: Any) -> Any:
        values, vectors = eigh(matrix, *rest)
        return values, vectors * np.where(np.arange(len(values)) % 2, 1.0, -1.0)

    return lambda: monkeypatch.setattr(np.linalg, "eigh", other)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_it_comes_out_again_and_goes_on_underanother_processors_kernels(
    make: Make, tmp_path: Path, another_processor: Callable[[], None]
) -> None:
    path = tmp_path / "journal.jsonl"
    before = search(path, make(True))
    another_processor()
    assert search(path, make(True)) == before
    went_on = search(path, make(True), trials=TRIALS + 10)
    assert went_on[: len(before)] == before
    assert len(went_on) == TRIALS + 11


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_is_not_recorded_does_not(
    make: Make, tmp_path: Path, another_processor: Callable[[], None]
) -> None:
    path = tmp_path / "journal.jsonl"
    search(path, make(False))
    another_processor()
    with pytest.raises(JournalError):
        search(path, make(False))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_journal_changes_nothing_of_what_is_drawn(make: Make, tmp_path: Path) -> None:
    kept, computed = (search(tmp_path / str(r), make(r)) for r in (True, False))
    assert kept == computed
