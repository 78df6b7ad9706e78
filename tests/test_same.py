"""The same command is the same search: in a process of its own, after others, beside others."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.same import ARMS, begun, busy, difference, journals, log_of, overrides
from tests.tasks.cpu_gpt.conftest import sentences

DEPENDENT = "evoscientist_study"  # learns from the searches of its study that ran before
REFUSED_AT_FIRST = ["arm=bilevel", "task=trap", "seed=1", "search.confirm_seeds=0", "tracking=none"]
"""Thirty trials in which the model writes a mechanism that draws from a global generator."""
EVERY_MAKE = (
    *("bilevel_judged", "bilevel_screened_sham", "centaur", "claw_multibatch", "curated"),
    *("discover", "evoscientist_study", "gp", "karpathy", "level1_5", "optuna"),
)
Searches = list[list[str]]


def differing(one: dict[str, list[object]], other: dict[str, list[object]]) -> dict[str, str]:
    """The searches whose journals are not the same, with the first difference."""
    assert one.keys() == other.keys()
    found = {name: difference(one[name], other[name]) for name in one}
    return {name: said for name, said in found.items() if said}


def searches(folder: Path, arms: Sequence[str]) -> tuple[Searches, Searches]:
    """Of every arm one search, of the dependent one two; and in another order."""
    text = folder / "text.txt"
    text.write_text(sentences(2000))
    seeds = {arm: (1, 2) if arm == DEPENDENT else (2,) for arm in arms}
    made = {arm: [[*overrides(arm, text), f"seed={s}"] for s in seeds[arm]] for arm in arms}
    forward = [search for arm in arms for search in made[arm]]
    return [*forward, REFUSED_AT_FIRST], [
        REFUSED_AT_FIRST,
        *(s for arm in reversed(arms) for s in made[arm]),
    ]


def end(folder: Path, study: str, process: "subprocess.Popen[bytes]") -> None:
    assert process.wait() == 0, log_of(folder, study).read_text()[-4000:]


def twice(folder: Path, arms: Sequence[str]) -> None:
    """These arms in two processes: other hash seeds, threads, order and neighbours."""
    forward, backward = searches(folder, arms)
    cache = {"BILEVEL_CACHE": str(folder / "cache")}
    one = begun(folder, "one", forward, PYTHONHASHSEED="1", OPENBLAS_NUM_THREADS="1", **cache)
    two = begun(folder, "two", backward, PYTHONHASHSEED="2", OPENBLAS_NUM_THREADS="3", **cache)
    end(folder, "one", one)
    end(folder, "two", two)
    found = journals(folder, "one")
    assert len(found) == len(arms) + 1 + (DEPENDENT in arms)
    assert differing(found, journals(folder, "two")) == {}


@pytest.mark.slow
def test_an_arm_of_every_make_is_the_same_search_in_another_process(tmp_path: Path) -> None:
    """`make nightly` runs all of them."""
    twice(tmp_path, EVERY_MAKE)


@pytest.mark.nightly
def test_a_busy_machine_makes_no_other_search(tmp_path: Path) -> None:
    """Alone first, then two more beside processes that never rest."""
    studies = ("alone", "beside", "others")
    end(tmp_path, "alone", begun(tmp_path, "alone", [REFUSED_AT_FIRST], PYTHONHASHSEED="3"))
    with busy(2 * (os.cpu_count() or 1), most_s=300):
        searches = {
            s: begun(tmp_path, s, [REFUSED_AT_FIRST], PYTHONHASHSEED="4") for s in studies[1:]
        }
        for study, search in searches.items():
            end(tmp_path, study, search)
    alone, *beside = (journals(tmp_path, study) for study in studies)
    assert [differing(alone, found) for found in beside] == [{}, {}]


@pytest.mark.nightly
def test_a_busy_machine_makes_no_other_search_of_any_arm(tmp_path: Path) -> None:
    with busy(2 * (os.cpu_count() or 1), most_s=1800):
        twice(tmp_path, ARMS)
