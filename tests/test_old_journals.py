"""Searches that other versions ran come out again from their journals alone."""

import gzip
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bilevel.config.files import CONF
from bilevel.journal import Journal
from bilevel.search.from_journal import replay_exactly, settings_from_journal

JOURNALS = Path(__file__).parent / "journals"
FILES = sorted(JOURNALS.glob("*/*.jsonl.gz"))
BY_EIGENVECTORS = ("cmaes", "centaur")
KERNELS = {"OPENBLAS_CORETYPE": "Haswell"}
"""CMA-ES goes by eigenvectors, whose signs depend on the kernels that OpenBLAS has for a processor;
these journals are of one with those of AVX2, which every later one can run too."""


def unpacked(file: Path, results: Path) -> Path:
    """The journal where its search left it: the last entry says in which study."""
    written = gzip.decompress(file.read_bytes())
    ended = json.loads(written.splitlines()[-1])["data"]["search"]
    study: str = dict(word.split("=", 1) for word in ended.split())["study"]
    folder = results / "searches" / study / file.name.removesuffix(".jsonl.gz")
    folder.mkdir(parents=True)
    path = folder / "journal.jsonl"
    path.write_bytes(written)
    return path


def checked(path: Path, results: Path) -> None:
    """Replays it and compares."""
    found = replay_exactly(
        settings_from_journal(path, CONF, [f"results={results}", "tracking=none"]), path
    )
    assert found.complete
    recorded = Journal.sealed_copy(path)
    trials = [e for e in recorded.entries if e["kind"] == "trial" and e["key"].startswith("L1/")]
    assert len(found.loops[0].trace) == len(trials) > 1


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.name.split('.')[0]}")
def test_an_old_search_comes_out_again_from_its_journal(file: Path, tmp_path: Path) -> None:
    path = unpacked(file, tmp_path)
    if file.name.split("-")[0] not in BY_EIGENVECTORS:
        checked(path, tmp_path)
        return
    if platform.machine() != "x86_64":
        pytest.skip("its eigenvectors were computed on x86_64")
    program = f"from {__name__} import *; checked(*map(Path, {(str(path), str(tmp_path))}))"
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **KERNELS})


@pytest.mark.parametrize("arm", ["level1_5", "bilevel", "sham"])
def test_level_2_was_shown_source_and_asked_in_four_calls_before_those_were_settings(
    arm: str, tmp_path: Path
) -> None:
    path = unpacked(JOURNALS / "a2dd99f" / f"{arm}-seed1.jsonl.gz", tmp_path)
    made = settings_from_journal(path, CONF, [f"results={tmp_path}"])["outer"]["levels"]
    shown = {
        name: tuple(spec["proposer"].get(setting) for setting in ("context", "session"))
        for name, spec in made.items()
    }
    inventor = {} if arm == "level1_5" else {"inventor": ("source", "diagnose")}
    assert shown == {"tuner": (None, None), **inventor}


def test_every_arm_of_the_first_version_is_here() -> None:
    assert len([file for file in FILES if file.parent.name == "a2dd99f"]) == 25
